import { realpath } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { parseControlFile } from '../formats/control-file.ts';
import { DbkitError, errnoOf, isDenied, unlessMissing } from '../kernel/errors.ts';
import type { HeldLock, Owner, System } from '../kernel/machine.ts';
import { readPlain } from '../machine/plain-file.ts';

interface Claimant {
  readonly system: System;
  readonly dataDir: string;
  readonly owner: Owner;
  readonly systemIdentifier: string;
}

const markSchema = v.object({ schema: v.literal('dbkit.wal-writer/v1'), dataDir: v.string(), host: v.string() });

/**
 * One writer for one archive: a kernel lock for as long as it writes, and a mark that outlives it. Rejects with `lock.held` beside another one, and with
 * `wal.conflict` where the data that wrote before is still in another place on this machine: then this is a copy of it.
 */
export async function claimArchive(dir: string, { system, dataDir, owner, systemIdentifier }: Claimant): Promise<HeldLock> {
  const { files, locks } = system;
  await files.makeDirectory(dir, { mode: 0o700, owner });
  const here = await realpath(dataDir).catch(() => resolve(dataDir));
  const lock = await locks.acquire(join(dir, '.lock'), `the WAL archive, for ${here},`, owner);
  try {
    const path = join(dir, 'writer.json');
    const before = await files.readJson(path, (value) => v.parse(markSchema, value));
    if (before?.dataDir === here && before.host === hostname()) return lock;
    if (before && before.dataDir !== here && (await holds(before.dataDir, systemIdentifier))) throw isCopy(dir, here, before.dataDir);
    const mark = { schema: 'dbkit.wal-writer/v1', dataDir: here, host: hostname() };
    await files.write(path, `${JSON.stringify(mark, null, 2)}\n`, { mode: 0o600, owner });
    return lock;
  } catch (cause) {
    await lock.release();
    throw cause;
  }
}

async function holds(dataDir: string, systemIdentifier: string): Promise<boolean> {
  const bytes = await readPlain(join(dataDir, 'global/pg_control')).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOTDIR' || isDenied(cause)) return undefined; // Another user's folder: of its data nobody here could have a copy.
    return unlessMissing(cause);
  });
  const read = bytes && parseControlFile(bytes);
  return read !== undefined && 'control' in read && read.control.systemIdentifier === systemIdentifier;
}

const isCopy = (dir: string, here: string, original: string): DbkitError =>
  new DbkitError('wal.conflict', `${dir} is the archive of ${original}, of which ${here} is a copy`, {
    hint: `give the copy a BACKUP_DIR of its own; if it has taken the place of the original, move ${original} away`,
  });
