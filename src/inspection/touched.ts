import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../kernel/machine.ts';
import type { Finding } from './findings.ts';
import type { Difference } from './inventory.ts';
import type { Judged } from './judge-control.ts';
import { type Kept, keptBytes, readKept } from './kept.ts';
import { RELATION } from './relations.ts';
import type { Walk } from './walk.ts';
import { findZeroedPage } from './zeroed-pages.ts';

const MAIN_FORK = /\/\d+(\.\d+)?$/; // The maps of free space and visibility may have holes.

export interface Settled {
  /** Without the files that only bear another time. */
  readonly differences: readonly Difference[];
  /** A tool has written a sound pg_control since (pg_checksums, pg_resetwal): what was known before says nothing any more. */
  readonly isOutdated: boolean;
  /** A hint for a person: never damage. */
  readonly finding: Finding | undefined;
}

export interface Touching {
  readonly dataDir: string;
  readonly stateDir: string;
  readonly control: Judged;
  /** How many files the inventory lists. */
  readonly listed: number;
  readonly log: Logger;
}

/**
 * A time alone is no damage: whoever copies, unpacks or touches a data directory changes times and nothing else. Small files are compared
 * with the copies that were kept; pages are read, and their checksums, or else their headers, tell whether they are sound. Where most files bear another time the directory
 * was copied, and times say nothing: then nothing is read, and the server's own checksums watch as ever.
 */
export async function settleTouched(
  { dataDir, stateDir, control, listed, log }: Touching,
  differences: readonly Difference[],
  signal: AbortSignal,
): Promise<Settled> {
  const touched = differences.filter(({ now, sizeBytes }) => now?.sizeBytes === sizeBytes);
  if (touched.length === 0) return { differences, isOutdated: false, finding: undefined };
  const isCopied = touched.length > listed / 2;
  const known = 'control' in control ? control.control : undefined;
  const copies = await readKept(stateDir);
  const sound = new Set<string>();
  const toRead: Difference[] = [];
  for (const difference of touched) {
    const { path } = difference;
    const kept = await isAsKept(dataDir, stateDir, copies, path);
    if (kept === false && path === 'global/pg_control' && known) return { differences, isOutdated: true, finding: undefined };
    if (kept ?? isCopied) sound.add(path);
    else if (kept === undefined && known && RELATION.test(path)) toRead.push(difference);
  }
  const evidence = new Map<string, string>();
  if (toRead.length > 0 && known) {
    const { verifyPages } = await import('./verify-pages.ts');
    const entries: Walk['entries'] = new Map(toRead.map(({ path, now }) => [path, now!]));
    const { damaged } = await verifyPages(dataDir, { entries, denied: [] }, known, log, signal);
    for (const { path, damaged: blocks, unreadable } of damaged)
      evidence.set(
        path,
        `it was written to after the last clean shutdown, while no server ran: ${unreadable ?? `${blocks.length} of its pages fail ${known.checksums ? 'their checksum' : 'the check of their header'}, the first is ${blocks[0]}`}`,
      );
    for (const { path } of toRead) {
      const zeroed = evidence.has(path) || !MAIN_FORK.test(path) ? undefined : findZeroedPage(join(dataDir, path), known.blockSizeBytes);
      if (zeroed !== undefined)
        evidence.set(
          path,
          `it was written to after the last clean shutdown, while no server ran: page ${zeroed} holds zeroes only, and it is not at the end of what is in use`,
        );
      if (!evidence.has(path)) sound.add(path);
    }
  }
  return {
    differences: differences
      .filter(({ path }) => !sound.has(path))
      .map((difference) => ({ ...difference, evidence: evidence.get(difference.path) })),
    isOutdated: false,
    finding:
      sound.size > 0 ? { code: 'times.differ', path: '.', evidence: sentence(sound.size, listed, isCopied), severity: 'info' } : undefined,
  };
}

const sentence = (touched: number, listed: number, isCopied: boolean): string =>
  isCopied
    ? `${touched} of ${listed} files bear another time than at the last clean shutdown: the directory was copied without its times`
    : `${touched} of ${listed} files bear another time than at the last clean shutdown, and no damage was found in them`;

/** Undefined where no copy was kept. */
async function isAsKept(dataDir: string, stateDir: string, copies: Kept | undefined, path: string): Promise<boolean | undefined> {
  const kept = await keptBytes(stateDir, copies, path);
  if (!kept) return undefined;
  return (await readFile(join(dataDir, path)).catch(() => undefined))?.equals(kept) ?? false;
}
