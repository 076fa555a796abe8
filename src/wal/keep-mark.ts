import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import { parseControlFile } from '../formats/control-file.ts';
import { type Lsn, parseSegmentName, segmentName } from '../formats/wal-segment.ts';
import { type Anchor, findTip } from '../formats/wal-tip.ts';
import { unlessMissing, wordsOf } from '../kernel/errors.ts';
import type { Child, Identity, System } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlain } from '../machine/plain-file.ts';
import { type Mark, writeMark } from './mark.ts';

/** The cluster of the WAL, and where the mark is kept. */
export interface Marked {
  readonly system: System;
  readonly stateDir: string;
  readonly dataDir: string;
  readonly owner: Identity;
  readonly systemIdentifier: string;
  readonly segmentSizeBytes: number;
  /** The checkpoint that the server went on from, or stopped with. */
  readonly anchor: Anchor;
  /** Called after each mark of a running server; never rejects. */
  readonly noted?: () => Promise<void>;
}

const EVERY_MS = 2_000;

/**
 * Keeps the mark while the server runs: where the WAL has grown, its end is found, the segment flushed (the walwriter does the same five times
 * a second), and the mark written. No session, and nothing where nothing was written. Ends with the server; never rejects.
 */
export async function keepMark(marked: Marked, child: Child): Promise<void> {
  const { clock, log } = marked.system;
  const ended = new AbortController();
  void child.exited.then(() => ended.abort());
  let [seen, complained, anchor] = ['', false, marked.anchor];
  while (!ended.signal.aborted) {
    try {
      const now = await lookOf(marked, seen);
      if (now !== seen) {
        const written = await mark({ ...marked, anchor }, false, ended.signal);
        if (written) anchor = { ...anchor, lsn: written.lastRecordLsn, timeline: written.timeline };
        seen = now;
        await marked.noted?.();
      }
    } catch (cause) {
      if (!ended.signal.aborted && !complained) log.warn('mark.unwritten', `the end of the WAL could not be recorded: ${wordsOf(cause)}`);
      complained = true;
    }
    await clock.sleep(EVERY_MS, ended.signal).catch(() => undefined);
  }
}

/** Notes the end of the WAL now; `clean`: after a clean shutdown. Nothing where no WAL of this cluster can be read. */
export async function mark(marked: Marked, clean: boolean, signal: AbortSignal): Promise<Mark | undefined> {
  const { system, dataDir, systemIdentifier, segmentSizeBytes, anchor } = marked;
  const wal = join(dataDir, 'pg_wal');
  const tip = await findTip(fromText(wal), await readdir(wal), { systemIdentifier, segmentSizeBytes }, anchor, signal);
  if (!tip) return undefined;
  await flush(join(wal, tip.segment));
  const redoLsn = await redoOf(dataDir); // Before the state files: each that a later checkpoint writes was prepared after it.
  const prepared = (await readdir(join(dataDir, 'pg_twophase'))).filter((name) => /^[0-9A-F]+$/.test(name)).sort();
  const written: Mark = {
    systemIdentifier,
    timeline: tip.timeline,
    segment: tip.segment,
    flushedLsn: tip.end,
    lastRecordLsn: tip.last.lsn,
    lastRecordCrc: tip.last.crc,
    redoLsn,
    clean,
    prepared,
    at: system.clock.now().toISOString(),
  };
  await writeMark(marked, written);
  return written;
}

/** Where the last checkpoint began; undefined where pg_control cannot be read: the mark is worth having without it. */
async function redoOf(dataDir: string): Promise<Lsn | undefined> {
  const bytes = await readPlain(join(dataDir, 'global/pg_control')).catch(unlessOwnTrouble);
  const read = bytes && parseControlFile(bytes);
  return read && 'control' in read ? read.control.redoLsn : undefined;
}

/** Bytes that were read came from memory, perhaps; from here on it is on the disk. */
async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

/**
 * The segment written to last, and when; with it when the next one was, and the folder: the same words mean that nothing was written. Of a segment that is full
 * the server is done, and goes on in the next. `before` is the answer of the last look.
 */
async function lookOf({ dataDir, segmentSizeBytes }: Pick<Marked, 'dataDir' | 'segmentSizeBytes'>, before: string): Promise<string> {
  const folder = join(dataDir, 'pg_wal');
  const modifiedMs = async (file: string): Promise<number> => (await stat(join(folder, file)).catch(unlessMissing))?.mtimeMs ?? 0;
  const answerFor = async (name: string): Promise<string> => {
    const place = parseSegmentName(name, segmentSizeBytes);
    const next = place && segmentName(place.timeline, place.segment + 1n, segmentSizeBytes);
    return [name, await modifiedMs(name), next ? await modifiedMs(next) : 0, await modifiedMs('.')].join(' ');
  };
  const [last] = before.split(' ');
  if (last && (await answerFor(last)) === before) return before;
  const names = (await readdir(folder)).filter((file) => /^[0-9A-F]{24}$/.test(file));
  const looks = await Promise.all(names.map(async (name) => ({ name, ms: await modifiedMs(name) })));
  const newest = looks.sort((a, b) => b.ms - a.ms)[0];
  return newest ? answerFor(newest.name) : '';
}
