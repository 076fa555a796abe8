import { join } from 'node:path';
import type { Inspection } from './inspect.ts';
import { FIRST_USER_OID, RELATION } from './relations.ts';
import { walk } from './walk.ts';
import { findZeroedPage } from './zeroed-pages.ts';

/**
 * Relations, by their first file, of which files were gone before crash recovery: it made them anew, without a word, from what the WAL since
 * the checkpoint holds of them
 * (xlogutils.c, XLogReadBufferExtended): the pages that are not in it are zeroes now. A relation that was made after the checkpoint is whole
 * in the WAL, and one that was made since has a later number.
 */
export function madeAnew(dataDir: string, { control, cleanShutdown, readable, saw }: Inspection, signal: AbortSignal): string[] {
  if (!control || cleanShutdown || !readable) return [];
  const paths = new Set<string>();
  for (const { path, kind, sizeBytes } of walk(dataDir, signal).entries.values()) {
    const [, number, fork] = RELATION.exec(path) ?? [];
    if (kind !== 'file' || sizeBytes === 0 || fork !== undefined || saw(path)) continue;
    if (!(Number(number) >= FIRST_USER_OID && Number(number) < control.nextOid)) continue;
    if (findZeroedPage(join(dataDir, path), control.blockSizeBytes) !== undefined) paths.add(path.replace(/\.\d+$/, ''));
  }
  return [...paths];
}
