import { join } from 'node:path';
import { type ControlFile, isSameControl, parseControlFile } from '../formats/control-file.ts';
import type { Logger } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlain } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import type { Difference } from './inventory.ts';
import type { Judged } from './judge-control.ts';
import { type Kept, keptBytes, readKept } from './kept.ts';
import { evidenceOf } from './proof-findings.ts';
import type { FindBaseline } from './prove.ts';
import { RELATION } from './relations.ts';
import type { Walk } from './walk.ts';

export interface Settled {
  /** Without the files that only bear another time. */
  readonly differences: readonly Difference[];
  /** A tool has written a sound pg_control since (pg_checksums, pg_resetwal): what was known before says nothing any more. */
  readonly isOutdated: boolean;
  /** There was more to read than a start can afford. */
  readonly isUnproven: boolean;
  readonly unheard: Unheard | undefined;
  /** Hints for a person, and files of which nothing is known: never damage. */
  readonly findings: readonly Finding[];
}

/**
 * Of some files neither a backup nor the WAL tells what they held. 'copied': the directory was, without its times. 'touched': a tool has written pg_control and
 * files, so that nothing of before speaks of them.
 */
export type Unheard = 'copied' | 'touched';

export interface Touching {
  readonly dataDir: string;
  readonly stateDir: string;
  readonly control: Judged;
  readonly seen: Walk;
  readonly findBaseline: FindBaseline | undefined;
  /** How many files the inventory lists. */
  readonly listed: number;
  readonly log: Logger;
}

/** As much as a start reads of a directory that was copied as a whole; more is read beside the running server. */
const COPIED_BYTES_MAX = 128 * 1024 * 1024;
const CACHE = /_(fsm|vm)(\.\d+)?$/;

/**
 * A time alone is no damage: whoever copies, unpacks or touches a data directory changes times and nothing else. Small files are compared
 * with the copies that were kept; pages are held against the newest backup and the WAL since, and their checksums, or else their headers, are
 * verified. Where most files bear another time the directory was copied: then no more is read than a start can afford. A map of free space or
 * visibility is not worth the reading: it is set aside, and PostgreSQL makes it again. A page may be sound and of any time, where neither a backup nor
 * the WAL speaks of it: that is told, and no damage.
 */
export async function settleTouched(
  { dataDir, stateDir, control, seen, findBaseline, listed, log }: Touching,
  differences: readonly Difference[],
  signal: AbortSignal,
): Promise<Settled> {
  const touched = differences.filter(({ now, sizeBytes }) => now?.sizeBytes === sizeBytes);
  if (touched.length === 0) return { differences, isOutdated: false, isUnproven: false, unheard: undefined, findings: [] };
  const isCopied = touched.length > listed / 2;
  const known = 'control' in control ? control.control : undefined;
  const copies = await readKept(stateDir);
  const sound = new Set<string>();
  const toRead = new Set<string>();
  for (const { path } of touched) {
    const kept = await isAsKept(dataDir, stateDir, copies, path);
    if (kept === false && path === 'global/pg_control' && known)
      return {
        differences,
        isOutdated: true,
        isUnproven: false,
        unheard: touched.some((one) => RELATION.test(one.path)) && (await isByTool(known, copies, stateDir)) ? 'touched' : undefined,
        findings: [],
      };
    if (kept === undefined && known && RELATION.test(path) && !CACHE.test(path)) toRead.add(path);
    else if (kept ?? isCopied) sound.add(path);
  }
  const evidence = new Map<string, string>();
  const indexes = new Set<string>();
  const unheard = new Set<string>();
  let isUnproven = false;
  let unheardOf: Unheard | undefined;
  if (toRead.size > 0 && known) {
    const [{ provePages }, { withEmptied }] = await Promise.all([import('./prove.ts'), import('./prove-file.ts')]);
    const baseline = await findBaseline?.(known.systemIdentifier, signal);
    const budgetBytes = isCopied ? COPIED_BYTES_MAX : undefined;
    const wanted = (path: string): boolean => toRead.has(path);
    const proof = await provePages(
      { dataDir, control: known, baseline, seen, wanted, whole: true, isLive: false, budgetBytes, log },
      signal,
    );
    // The file was written while no server ran: here zeroes before the last page in use speak for themselves.
    for (const result of isCopied ? proof.doubtful : [...proof.doubtful, ...proof.unknown].map(withEmptied)) {
      evidence.set(result.path, `${WRITTEN}: ${evidenceOf(result, proof.against)}`);
      if (result.kind === 'index') indexes.add(result.path);
    }
    const isUnlogged = (path: string): boolean => seen.entries.has(`${path.replace(/\.\d+$/, '')}_init`);
    const untold = isCopied ? [] : [...proof.unheard.map(({ path }) => path), ...[...toRead].filter(isUnlogged)];
    for (const path of untold) unheard.add(path);
    isUnproven = proof.isCutShort;
    if (isCopied && (proof.unheard.length > 0 || (proof.isCutShort && baseline === undefined))) unheardOf = 'copied'; // What was not read is not known either.
    for (const path of toRead) if (!evidence.has(path) && !unheard.has(path)) sound.add(path);
  }
  return {
    differences: differences
      .filter(({ path }) => !sound.has(path) && !unheard.has(path))
      .map((difference) => ({ ...difference, evidence: evidence.get(difference.path), isIndex: indexes.has(difference.path) })),
    isOutdated: false,
    isUnproven,
    unheard: unheardOf,
    findings: [...(sound.size > 0 ? [times(sentence(sound.size, listed, isCopied))] : []), ...[...unheard].map(notKnown)],
  };
}

const notKnown = (path: string): Finding => ({ code: 'relation.touched', path, evidence: `${WRITTEN}, ${UNHEARD}`, severity: 'suspect' });
const times = (evidence: string): Finding => ({ code: 'times.differ', path: '.', evidence, severity: 'info' });

const WRITTEN = 'it was written to after the last clean shutdown, while no server ran';
const UNHEARD = 'and neither a backup nor the WAL tells what it held';

const sentence = (touched: number, listed: number, isCopied: boolean): string =>
  isCopied
    ? `${touched} of ${listed} files bear another time than at the last clean shutdown: the directory was copied without its times`
    : `${touched} of ${listed} files bear another time than at the last clean shutdown, and no damage was found in them`;

/**
 * True where a tool has written pg_control, and no server has run: at its stop it would have written another checkpoint. pg_checksums is no such tool, as checksums
 * prove the pages that it has written.
 */
async function isByTool(known: ControlFile, copies: Kept | undefined, stateDir: string): Promise<boolean> {
  const kept = await keptBytes(stateDir, copies, 'global/pg_control');
  const read = kept && parseControlFile(kept);
  if (!read || !('control' in read)) return false;
  const { checkpointLsn, state, checksums } = read.control;
  return checkpointLsn === known.checkpointLsn && state === known.state && checksums === known.checksums;
}

/** Undefined where no copy was kept. */
async function isAsKept(dataDir: string, stateDir: string, copies: Kept | undefined, path: string): Promise<boolean | undefined> {
  const kept = await keptBytes(stateDir, copies, path);
  if (!kept) return undefined;
  const bytes = await readPlain(join(dataDir, path)).catch(unlessOwnTrouble);
  if (bytes === undefined) return false;
  return path === 'global/pg_control' ? isSameControl(bytes, kept) : bytes.equals(kept);
}
