import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../kernel/errors.ts';
import { parseLabel } from '../kernel/labels.ts';
import { namesIn } from '../machine/is-there.ts';
import type { WalArchive } from './contract.ts';
import type { NeedsWal } from './retention.ts';

/** The identifier stands near the beginning of a record, before its lists of files. */
const HEAD_BYTES = 1024 * 1024;

/**
 * Base backups beside the archive that are not among `backups`, unless their record names another cluster: a disk that fails for a moment, a mode, or a
 * version of the record that this dbkit does not know has hidden them.
 */
export async function unreadBackups({ dir, systemIdentifier }: WalArchive, backups: readonly NeedsWal[]): Promise<readonly string[]> {
  const backupDir = dirname(dirname(dir));
  const known = new Set(backups.map(({ label }) => label));
  const labels = (await namesIn(backupDir)).flatMap((name) => (name.endsWith('.json') ? [basename(name, '.json')] : []));
  const unread: string[] = [];
  for (const label of labels.filter((one) => parseLabel(one)?.kind === 'data' && !known.has(one))) {
    const isThere = await lstat(join(backupDir, label)).then(
      () => true,
      (cause: unknown) => errnoOf(cause) !== 'ENOENT',
    );
    const of = isThere ? await clusterOf(join(backupDir, `${label}.json`)) : 'none';
    if (of === 'unknown' || of === systemIdentifier) unread.push(label);
  }
  return unread;
}

/** The system identifier that a record names. 'none': there is no record any more, or what bears its name is no file. */
async function clusterOf(record: string): Promise<string | 'none' | 'unknown'> {
  try {
    const file = await open(record, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    try {
      if (!(await file.stat()).isFile()) return 'none';
      const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return /"systemIdentifier":\s*"(\d+)"/.exec(buffer.toString('latin1', 0, bytesRead))?.[1] ?? 'unknown';
    } finally {
      await file.close();
    }
  } catch (cause) {
    return errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ELOOP' ? 'none' : 'unknown';
  }
}
