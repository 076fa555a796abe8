import { chownSync, constants, copyFileSync, linkSync, lstatSync } from 'node:fs';
import { type BytePath, fromText, join as joinBytes, toBytes } from '../../formats/byte-path.ts';
import { errnoOf } from '../../kernel/errors.ts';
import type { Identity, Logger } from '../../kernel/machine.ts';
import { plainFolders } from '../plain-folders.ts';
import { type ManifestFile, readManifestFile } from './manifest.ts';
import type { WholeRecord } from './record.ts';
import { type FileStamp, isUnchanged } from './sharing.ts';

/** How a new backup shares files with an earlier one. Links are only ever made between backups: never to a file the server could write. */
export interface Sharing {
  readonly label: string | null;
  readonly method: () => 'reflink' | 'hardlink' | 'none';
  /** The manifest's entry when `to` now is the earlier backup's file; undefined when the source must be copied. */
  share(path: BytePath, now: FileStamp, to: BytePath): ManifestFile | undefined;
}

export const nothingToShare: Sharing = { label: null, method: () => 'none', share: () => undefined };

/** The backup that files are shared with. */
export interface Earlier {
  readonly record: Pick<WholeRecord, 'label' | 'copyBeganNs'>;
  readonly directory: string;
  /** Its source files, as they were seen before they were read. */
  stampOf(path: string): FileStamp | undefined;
}

/** Prepares sharing with an earlier backup. Any doubt about it, its manifest included, means that nothing is shared. */
export async function shareWith({ record, directory, stampOf }: Earlier, owner: Identity | undefined, log: Logger): Promise<Sharing> {
  const manifest = await readManifestFile(directory).catch(() => undefined);
  if (!manifest) {
    log.warn('backup.not-shared', `The manifest of ${record.label} cannot be read, so everything is copied.`, { label: record.label });
    return nothingToShare;
  }
  const entries = new Map<string, ManifestFile>(manifest.files.map((file) => [file.path, file]));
  const began = BigInt(record.copyBeganNs);
  const root = fromText(directory);
  const isPlain = plainFolders(root);
  let method: 'reflink' | 'hardlink' | 'none' = 'reflink';

  const attempt = (from: Buffer, to: Buffer): boolean => {
    if (method === 'reflink') {
      try {
        copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
        if (owner) chownSync(to, owner.uid, owner.gid); // Durable with all others, at the end.
        return true;
      } catch {
        method = 'hardlink'; // The filesystem cannot; it will not be able to for the next file either.
      }
    }
    try {
      linkSync(from, to);
      return true;
    } catch (thrown) {
      if (errnoOf(thrown) === 'EMLINK' || errnoOf(thrown) === 'ENOENT') return false; // A matter of this one file.
      method = 'none';
      log.warn('backup.not-shared', 'Files cannot be shared between backups here, so everything is copied.', { reason: errnoOf(thrown) });
      return false;
    }
  };

  return {
    label: record.label,
    method: () => method,
    share(path, now, to) {
      const entry = entries.get(path);
      if (method === 'none' || !entry || entry.sizeBytes !== now.sizeBytes || !isUnchanged(now, stampOf(path), began)) return undefined;
      if (!isPlain(path)) return undefined;
      const from = toBytes(joinBytes(root, path));
      const stats = lstatSync(from, { throwIfNoEntry: false });
      if (!stats?.isFile() || stats.size !== entry.sizeBytes) return undefined;
      return attempt(from, toBytes(to)) ? entry : undefined;
    },
  };
}
