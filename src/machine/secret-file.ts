import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DbkitError } from '../kernel/errors.ts';
import type { Owner } from '../kernel/machine.ts';
import { actsAsRoot, asUser } from './privileges.ts';
import { isOwnWay } from './trust.ts';

const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes a secret into a folder `secrets` of `directory`, which is there, as whoever owns that: root follows no link that the owner has placed.
 * Synchronous, for the rights hold no longer. Returns the file, 0600 and the owner's. Throws `data.owner` for root where others could put another
 * folder in its place, and the system's own failures.
 */
export function keepSecret(directory: string, name: string, text: string): string {
  const owner = ownerOf(directory);
  const folder = join(directory, 'secrets');
  const file = join(folder, name);
  return asUser(owner, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (lstatSync(folder).isSymbolicLink())
      throw new DbkitError('data.owner', `${folder} is a link, and a secret is written only into the state directory`, {
        hint: 'remove the link and try again; nothing was changed',
      });
    const aside = `${file}.${process.pid}.tmp`;
    rmSync(aside, { force: true });
    const fd = openSync(aside, NEW, 0o600);
    try {
      fchmodSync(fd, 0o600); // The umask may have taken the owner's own rights.
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(aside, file);
    syncFolder(folder);
    return file;
  });
}

/** A rename lasts when its folder does (fsync(2)). */
function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Removes it again, with the same rights. */
export function forgetSecret(directory: string, file: string): void {
  asUser(ownerOf(directory), () => rmSync(file, { force: true }));
}

function ownerOf(directory: string): Owner {
  const owner = statSync(directory);
  if (actsAsRoot() && !isOwnWay(directory, [owner.uid]))
    throw new DbkitError('data.owner', `others could put another folder in the place of ${directory}, and read the secret in it`, {
      hint: 'set DBKIT_STATE_DIR to a folder that only root can move, such as /var/lib/dbkit; nothing was changed',
    });
  return owner;
}
