import { readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { errnoOf } from '../kernel/errors.ts';

/** After so many milliseconds of it signals and timers are heard. */
const AT_ONCE_MS = 10;

/**
 * Removes a backup, or what is staged of one, and follows no link; what is not there is removed already. fs.rm() asks for each entry twice by way of its
 * threads: a thousand files took 29 ms of processor time so, and take 13. What cannot be removed stays, all else goes, and the first refusal is thrown at
 * the end. A folder is asked to go before it is emptied: one on which a file system is mounted refuses (EBUSY), and keeps what is in it.
 */
export async function removeTree(path: string): Promise<void> {
  const refusals: unknown[] = [];
  let began = performance.now();
  const attempt = <T>(step: () => T): T | undefined => {
    try {
      return step();
    } catch (cause) {
      if (errnoOf(cause) !== 'ENOENT') refusals.push(cause);
      return undefined;
    }
  };
  await removeFolder(Buffer.from(path));
  if (refusals.length > 0) throw refusals[0];

  async function removeFolder(folder: Buffer): Promise<void> {
    if (attempt(() => isGone(folder)) !== false) return;
    for (const entry of attempt(() => readdirSync(folder, { withFileTypes: true, encoding: 'buffer' })) ?? []) {
      const entryPath = Buffer.concat([folder, SLASH, entry.name]);
      if (entry.isDirectory()) await removeFolder(entryPath);
      else attempt(() => unlinkSync(entryPath));
      if (performance.now() - began < AT_ONCE_MS) continue;
      await turn();
      began = performance.now();
    }
    attempt(() => rmdirSync(folder));
  }
}

const SLASH = Buffer.from('/');

/** False: it is a folder that holds something. */
function isGone(path: Buffer): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (cause) {
    if (['ENOTEMPTY', 'EEXIST'].includes(errnoOf(cause) ?? '')) return false;
    if (errnoOf(cause) !== 'ENOTDIR') throw cause;
    unlinkSync(path); // A file, or a link to whatever.
    return true;
  }
}
