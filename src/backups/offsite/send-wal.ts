import { join } from 'node:path';
import { zstd } from '../../formats/zstd.ts';
import { DbkitError, errnoOf, unlessMissing } from '../../kernel/errors.ts';
import type { FaultPoint, Files } from '../../kernel/machine.ts';
import { openArchive, sha16Of } from '../../wal/archive.ts';
import type { ArchivedSegment, ArchivedTimeline, WalArchive } from '../../wal/contract.ts';
import { historyFile, RECORD, timelineFolder, wholeFile } from '../../wal/layout.ts';
import { HISTORY_BYTES_MAX, readKept } from '../../wal/read-kept.ts';
import { needlessWal, WHOLE } from './needless-wal.ts';
import type { CopySummary, Place } from './place.ts';
import { chainOf, tailKey } from './tails.ts';
import { openWalThere, type WalThere } from './wal-there.ts';

/** How far a copy has come. */
export interface SentWal {
  /** In the archive here. */
  readonly segments: number;
  readonly sentObjects: number;
  readonly sentBytes: number;
  /** All WAL that is kept here up to there is in the copy; null where none is kept. */
  readonly end: { readonly timeline: number; readonly lsn: bigint } | null;
}

/** Sends kept WAL to one place, again and again; remembers what is there. One at a time: the caller holds the lock of that copy's WAL. */
export interface WalSender {
  /**
   * All that is kept here and not there yet: histories, whole segments that one of the backups there needs, oldest first, then how far the last ones have
   * come. Rejects with `wal.conflict` where another server has written a segment of one name there; two of them never mix.
   */
  send(summaries: readonly Pick<CopySummary, 'label' | 'wal'>[], signal: AbortSignal): Promise<SentWal>;
}

interface Needs {
  readonly backupDir: string;
  readonly files: Pick<Files, 'write'>;
  readonly reached?: FaultPoint;
}

/** A segment's pieces in the copy, as this sender has left them: more is added where nobody else has written there since. */
interface OwnTail {
  readonly generation: number;
  readonly lengthBytes: number;
  readonly pieces: number;
  /** Of what was sent. */
  readonly sha16: string;
}

interface Sending {
  readonly archive: WalArchive;
  readonly there: WalThere;
  readonly tails: Map<string, OwnTail>;
  readonly reached: FaultPoint;
}

/** A restore fetches each piece, and a list names each. */
const PIECES_MAX = 32;

export function openWalSender(place: Place, { backupDir, files, reached = () => undefined }: Needs): WalSender {
  const archive = openArchive(backupDir, place.systemIdentifier, files);
  const sending: Sending = { archive, there: openWalThere(place), tails: new Map(), reached };
  return {
    async send(summaries, signal) {
      const { there } = sending;
      const before = there.sent();
      const timelines = await archive.timelines(signal);
      refuseOther(place, await there.objects(signal), timelines);
      const needless = new Set(needlessWal(timelines.flatMap(keysOf), summaries, historiesOf(timelines)));
      if (timelines.length > 0 && !there.has(`wal/${RECORD}`))
        await there.put(`wal/${RECORD}`, await readKept(join(archive.dir, RECORD), HISTORY_BYTES_MAX), signal);
      let end: SentWal['end'] = null;
      for (const timeline of timelines) end = (await sendTimeline(sending, timeline, needless, signal)) ?? end;
      const { sentObjects, sentBytes } = there.sent();
      return {
        segments: timelines.reduce((sum, { segments }) => sum + segments.length, 0),
        sentObjects: sentObjects - before.sentObjects,
        sentBytes: sentBytes - before.sentBytes,
        end,
      };
    },
  };
}

async function sendTimeline(
  sending: Sending,
  { id, segments }: ArchivedTimeline,
  needless: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<SentWal['end']> {
  const { archive, there } = sending;
  const timeline = timelineFolder(id);
  const key = `wal/${timeline}/${historyFile(id)}`;
  const history = await readKept(join(archive.dir, timeline, historyFile(id)), HISTORY_BYTES_MAX).catch(unlessMissing);
  if (history !== undefined && !there.has(key)) await there.put(key, history, signal);
  let end: SentWal['end'] = null;
  for (const segment of segments) {
    try {
      if (segment.kind === 'whole') await sendWhole(sending, segment, needless, signal);
      end = { timeline: id, lsn: segment.kind === 'whole' ? segment.endLsn : await sendTail(sending, segment, timeline, signal) };
    } catch (cause) {
      if (errnoOf(cause) !== 'ENOENT') throw cause; // It has expired here, or the tail is whole by now: the next call has it.
    }
  }
  return end;
}

async function sendWhole(
  { archive, there, tails, reached }: Sending,
  segment: ArchivedSegment,
  needless: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const key = keyOf(segment);
  if (!needless.has(key) && !there.has(key)) {
    const plain = await archive.read(segment, signal); // What is damaged here is not sent.
    await there.put(
      key,
      segment.path.endsWith('.zst')
        ? await readKept(segment.path, 2 * segment.sizeBytes + HISTORY_BYTES_MAX)
        : await (await zstd()).compress(plain),
      signal,
    );
    reached('copy.wal-sent');
  }
  await there.remove(there.piecesOf(segment.name), signal);
  tails.delete(segment.name);
}

/** How far it is there now. */
async function sendTail(
  { archive, there, tails, reached }: Sending,
  segment: ArchivedSegment,
  timeline: string,
  signal: AbortSignal,
): Promise<bigint> {
  const plain = await archive.read(segment, signal);
  const { name } = segment;
  const end = segment.startLsn + BigInt(plain.length);
  const own = tails.get(name);
  if (plain.length === 0 || (own?.lengthBytes === plain.length && own.sha16 === sha16Of(plain))) return end;
  const pieces = await there.askForPieces(timeline, name, signal); // A backup that is copied meanwhile sends the same tail.
  const chain = chainOf(pieces);
  if (own === undefined && chain.at(-1)?.to === plain.length) return end;
  const generation = Math.max(0, ...pieces.map((piece) => piece.generation));
  const goesOn =
    own !== undefined &&
    own.generation === generation &&
    own.pieces < PIECES_MAX &&
    chain.at(-1)?.to === own.lengthBytes &&
    own.lengthBytes <= plain.length &&
    sha16Of(plain.subarray(0, own.lengthBytes)) === own.sha16; // A crash may have changed what a record that was never finished left.
  const from = goesOn ? own.lengthBytes : 0;
  const piece = { timeline, segment: name, generation: goesOn ? generation : generation + 1, from, to: plain.length };
  await there.put(tailKey(piece), await (await zstd()).compress(plain.subarray(from)), signal);
  reached('copy.tail-sent');
  const count = goesOn ? own.pieces + 1 : 1;
  tails.set(name, { generation: piece.generation, lengthBytes: plain.length, pieces: count, sha16: sha16Of(plain) });
  if (!goesOn) await there.remove(pieces, signal);
  return end;
}

/** Once: with a backup that is copied. */
export const copyWal = (
  place: Place,
  { backupDir, summaries }: { readonly backupDir: string; readonly summaries: readonly Pick<CopySummary, 'label' | 'wal'>[] },
  files: Pick<Files, 'write'>,
  signal: AbortSignal,
): Promise<SentWal> => openWalSender(place, { backupDir, files }).send(summaries, signal);

/** Packed in a copy, however it is kept here. */
const keyOf = ({ timeline, name, sha16 }: ArchivedSegment): string => `wal/${timelineFolder(timeline)}/${wholeFile(name, sha16 ?? '')}`;

const keysOf = ({ segments }: ArchivedTimeline): string[] => segments.filter(({ kind }) => kind === 'whole').map(keyOf);

/** Where each timeline forked off its ancestors. */
export const historiesOf = (timelines: readonly ArchivedTimeline[]): ReadonlyMap<number, ArchivedTimeline['history']> =>
  new Map(timelines.map(({ id, history }) => [id, history]));

/** A segment there that has the name of one here and other bytes: a copy of this server writes there, or this is the copy. */
function refuseOther({ store }: Place, there: ReadonlySet<string>, timelines: readonly ArchivedTimeline[]): void {
  const own = new Map<string, Set<string>>();
  for (const { name, sha16 } of timelines.flatMap(({ segments }) => segments))
    if (sha16 !== undefined) own.set(name, (own.get(name) ?? new Set()).add(sha16));
  for (const key of there) {
    const [, , , name, sha16] = WHOLE.exec(key) ?? [];
    if (name === undefined || sha16 === undefined || (own.get(name)?.has(sha16) ?? true)) continue;
    throw new DbkitError('wal.conflict', `${store.place} holds another segment ${name} than the one that is kept here`, {
      hint: 'two servers that come from one cluster write there: give one of them a place of its own in `copies:`; nothing was sent',
    });
  }
}
