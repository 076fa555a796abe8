import { join } from 'node:path';
import type { Finding } from '../../core/findings.ts';
import type { Inspection } from './inspect.ts';
import { FIRST_USER_OID, RELATION } from './relations.ts';
import { walk } from './walk.ts';
import { findZeroedPage } from './zeroed-pages.ts';

/**
 * Files that were gone before crash recovery and that it made anew, without a word, from what the WAL since the checkpoint holds of them
 * (xlogutils.c, XLogReadBufferExtended): the pages that are not in it are zeroes now. A relation that was made after the checkpoint is whole
 * in the WAL, and one that was made since has a later number.
 */
export function madeAnew(dataDir: string, { control, cleanShutdown, readable, saw }: Inspection, signal: AbortSignal): Finding[] {
  if (!control || cleanShutdown || !readable) return [];
  const findings: Finding[] = [];
  for (const { path, kind, sizeBytes } of walk(dataDir, signal).entries.values()) {
    const [, number, fork] = RELATION.exec(path) ?? [];
    if (kind !== 'file' || sizeBytes === 0 || fork !== undefined || saw(path)) continue;
    if (!(Number(number) >= FIRST_USER_OID && Number(number) < control.nextOid)) continue;
    const zeroed = findZeroedPage(join(dataDir, path), control.blockSizeBytes);
    if (zeroed === undefined) continue;
    const evidence = `the file was gone when crash recovery began, which made it anew from the WAL: page ${zeroed}, and maybe others, hold zeroes only`;
    findings.push({ code: 'relation.missing', path, evidence, severity: 'certain' });
  }
  return findings;
}
