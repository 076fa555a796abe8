import { join } from 'node:path';
import { twoPhaseProblem } from '../formats/two-phase.ts';
import { readPlainSync } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import type { Reached } from './reached.ts';
import type { Walk } from './walk.ts';

export const STATE_FILE = /^pg_twophase\/[0-9A-F]+$/;

/**
 * State files of prepared transactions: each has a checksum, and those that were there at a clean shutdown must be there still. `stopped`: the mark of
 * that shutdown; undefined after a crash (prepared-after-crash.ts).
 */
export function inspectPrepared(dataDir: string, { entries }: Walk, stopped: Reached | undefined): Finding[] {
  const findings: Finding[] = [];
  const found = (path: string, evidence: string): void => {
    const postgresSays = `corrupted two-phase state file for transaction (${path})`;
    findings.push({ code: 'prepared.damaged', path, evidence, severity: 'certain', postgresSays });
  };
  for (const { path, kind } of entries.values()) {
    if (!path.startsWith('pg_twophase/') || !STATE_FILE.test(path)) continue;
    const problem = kind === 'file' ? twoPhaseProblem(readPlainSync(join(dataDir, path))) : 'something that is no file stands in its place';
    if (problem !== undefined) found(path, problem);
  }
  const owed = (stopped?.prepared ?? []).map((name) => `pg_twophase/${name}`);
  for (const path of owed) if (STATE_FILE.test(path) && !entries.has(path)) found(path, 'the file is gone since the last clean shutdown');
  return findings;
}

/** Low 32 bits of the number in the file's name (17 and later write all 64). */
export const stateFileXid = (path: string): number => Number(BigInt(`0x${path.slice(path.lastIndexOf('/') + 1)}`) & 0xffffffffn);
