import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { formatLsn, type Lsn, parseLsn } from '../formats/wal-segment.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlainText } from '../machine/plain-file.ts';

/**
 * How far the WAL had come, durably: what every recovery is judged by. It lies in the state folder and on the data's own volume, so that
 * one of them is left when the other is gone.
 */
export interface Mark {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** The newest segment's file name. */
  readonly segment: string;
  /** Behind the last record that is whole; all before it was flushed when the mark was written. */
  readonly flushedLsn: Lsn;
  /** Where that record begins, and its checksum. */
  readonly lastRecordLsn: Lsn;
  readonly lastRecordCrc: number;
  /** Where the last checkpoint began of which pg_control told then; absent in a mark of an earlier version, or where it could not be read. */
  readonly redoLsn?: Lsn | undefined;
  /** Written after a clean shutdown: then nothing was written behind it. */
  readonly clean: boolean;
  /** Names of the state files of prepared transactions that were there. */
  readonly prepared: readonly string[];
  readonly at: string;
}

const lsn = v.pipe(v.string(), v.regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/), v.transform(parseLsn));
const markSchema = v.object({
  schema: v.literal('dbkit.mark/v1'),
  systemIdentifier: v.pipe(v.string(), v.regex(/^\d+$/)),
  timeline: v.pipe(v.number(), v.integer(), v.minValue(1)),
  segment: v.pipe(v.string(), v.regex(/^[0-9A-F]{24}$/)),
  flushedLsn: lsn,
  lastRecordLsn: lsn,
  lastRecordCrc: v.number(),
  redoLsn: v.optional(lsn),
  clean: v.boolean(),
  prepared: v.array(v.string()),
  at: v.pipe(v.string(), v.isoTimestamp()),
});

/** Where the mark is kept: beside dbkit's own state, and with the data. */
export const markPaths = (stateDir: string, dataDir: string): { readonly state: string; readonly data: string } => ({
  state: join(stateDir, 'mark.json'),
  data: join(dataDir, '.dbkit', 'mark.json'),
});

/** Both copies, each durable. Rejects where neither could be written; one of them is enough. */
export async function writeMark(
  { system, stateDir, dataDir, owner }: { system: System; stateDir: string; dataDir: string; owner: Identity },
  mark: Mark,
): Promise<void> {
  const lsns = {
    flushedLsn: formatLsn(mark.flushedLsn),
    lastRecordLsn: formatLsn(mark.lastRecordLsn),
    redoLsn: mark.redoLsn === undefined ? undefined : formatLsn(mark.redoLsn),
  };
  const body = `${JSON.stringify({ schema: 'dbkit.mark/v1', ...mark, ...lsns }, null, 2)}\n`;
  const { state, data } = markPaths(stateDir, dataDir);
  const written = await Promise.allSettled([
    system.files.write(state, body, { mode: 0o600 }),
    system.files.write(data, body, { mode: 0o600, owner }),
  ]);
  const [first, second] = written;
  if (first.status === 'rejected' && second.status === 'rejected') throw first.reason;
}

/**
 * The mark of the cluster in `dataDir` that is newest; of whichever cluster, and then rather the one that lies with the data, where no system
 * identifier is given. Undefined where there is none that can be read.
 */
export async function readMark(stateDir: string, dataDir: string, systemIdentifier: string | undefined): Promise<Mark | undefined> {
  const { state, data } = markPaths(stateDir, dataDir);
  const marks = (await Promise.all([data, state].map(read))).filter((mark) => mark !== undefined);
  const wanted = systemIdentifier ?? marks[0]?.systemIdentifier;
  const own = marks.filter((mark) => mark.systemIdentifier === wanted);
  return own.sort((a, b) => Number(b.at > a.at) - Number(b.at < a.at))[0]; // Where only one could be written, the other is of the past.
}

/** The one that lies with the data, and so is of the same moment where both were put back. */
export async function readMarkBeside(dataDir: string, systemIdentifier: string): Promise<Mark | undefined> {
  const mark = await read(markPaths('', dataDir).data);
  return mark?.systemIdentifier === systemIdentifier ? mark : undefined;
}

/** Both copies: the data that they were of are not here any more, because a person wanted others. */
export const forgetMarks = async (stateDir: string, dataDir: string): Promise<void> => {
  for (const path of Object.values(markPaths(stateDir, dataDir))) await rm(path, { force: true });
};

/** A mark that cannot be read says nothing: it is written anew at the next start. Rejects where dbkit is short of descriptors: a loss must be seen. */
async function read(path: string): Promise<Mark | undefined> {
  const text = await readPlainText(path).catch(unlessOwnTrouble);
  if (text === undefined) return undefined;
  try {
    const { schema: _schema, ...mark } = v.parse(markSchema, JSON.parse(text));
    return mark;
  } catch {
    return undefined;
  }
}
