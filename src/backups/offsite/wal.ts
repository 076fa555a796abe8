import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { zstd } from '../../formats/zstd.ts';
import { DbkitError, unlessMissing } from '../../kernel/errors.ts';
import type { Files } from '../../kernel/machine.ts';
import { namesIn } from '../../machine/is-there.ts';
import { opened as unsealed } from '../../store/age.ts';
import { openArchive, sha16Of } from '../../wal/archive.ts';
import type { ArchivedSegment, ArchivedTimeline } from '../../wal/contract.ts';
import { archiveDir, historyFile, parseKept, RECORD, tailFile, timelineFolder } from '../../wal/layout.ts';
import { needlessWal, WHOLE } from './needless-wal.ts';
import { type CopySummary, type Place, REPLACING } from './place.ts';

/** There: all WAL in the copy is encrypted to these recipients. */
export const walMark = (keys: string): string => `keys/wal-${keys || 'none'}`;

type Writing = Pick<Files, 'write' | 'makeDirectory'>;

/** In hexadecimal, so that the longest tail of a segment sorts last. */
const tailKey = (name: string, lengthBytes: number): string => `${name}-${lengthBytes.toString(16).padStart(8, '0')}.zst`;
const TAIL = /^wal\/([0-9A-F]{8})\/tail\/([0-9A-F]{24})-([0-9a-f]{8})\.zst(\.age)?$/;
const HISTORY = /^wal\/([0-9A-F]{8})\/([0-9A-F]{8}\.history)(\.age)?$/;

/**
 * The kept WAL into a copy: whole segments that are not there yet and that one of the backups there needs, histories, and how far the last segments
 * have come. Every segment is compared with its name first. What it sent, in bytes. Rejects with `wal.conflict` where another server has written a
 * segment of one name there: two of them never mix.
 */
export async function copyWal(
  place: Place,
  { backupDir, summaries }: { readonly backupDir: string; readonly summaries: readonly Pick<CopySummary, 'label' | 'wal'>[] },
  files: Writing,
  signal: AbortSignal,
): Promise<{ segments: number; sentBytes: number }> {
  const { store, seal, prefix, systemIdentifier } = place;
  const archive = openArchive(backupDir, systemIdentifier, files);
  const timelines = await archive.timelines(signal);
  const there = new Set((await store.list(`${prefix}wal/`, signal)).map(({ key }) => key.slice(prefix.length)));
  refuseOther(place, there, timelines);
  const needless = new Set(needlessWal(timelines.flatMap(keysOf), summaries, historiesOf(timelines)));
  if (there.size === 0) await store.put(`${prefix}${walMark(seal.keys)}`, Buffer.from('\n'), signal);
  const sent = { segments: 0, sentBytes: 0 };
  const send = async (key: string, plain: () => Promise<Buffer>): Promise<void> => {
    const name = `${key}${seal.suffix}`;
    if (there.has(name)) return;
    const sealed = await seal.close(await plain());
    await store.put(`${prefix}${name}`, sealed, signal);
    there.add(name);
    sent.sentBytes += sealed.length;
  };
  if (timelines.length > 0) await send(`wal/${RECORD}`, () => readFile(join(archive.dir, RECORD)));
  for (const { id, segments } of timelines) {
    const folder = `wal/${timelineFolder(id)}`;
    const history = await readFile(join(archive.dir, timelineFolder(id), historyFile(id))).catch(unlessMissing);
    if (history !== undefined) await send(`${folder}/${historyFile(id)}`, async () => history);
    for (const segment of segments) {
      await sendSegment(segment, folder);
      sent.segments += 1;
    }
  }
  return sent;

  async function sendSegment(segment: ArchivedSegment, folder: string): Promise<void> {
    if (segment.kind === 'tail') {
      const plain = await archive.read(segment, signal);
      if (plain.length > 0) await send(`${folder}/tail/${tailKey(segment.name, plain.length)}`, async () => (await zstd()).compress(plain));
      return;
    }
    const key = `${folder}/${basename(segment.path)}`;
    if (!needless.has(key))
      await send(key, async () => {
        await archive.read(segment, signal);
        return readFile(segment.path);
      });
    for (const tail of there)
      if (TAIL.exec(tail)?.[2] === segment.name) {
        await store.remove(`${prefix}${tail}`, signal);
        there.delete(tail);
      }
  }
}

const keysOf = ({ id, segments }: ArchivedTimeline): string[] =>
  segments.filter(({ kind }) => kind === 'whole').map(({ path }) => `wal/${timelineFolder(id)}/${basename(path)}`);

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

/** The WAL of a copy into BACKUP_DIR/wal: what is not here yet. How many segments came. */
export async function bringWalBack(place: Place, backupDir: string, files: Writing, signal: AbortSignal): Promise<number> {
  const { store, seal, prefix, systemIdentifier } = place;
  const dir = archiveDir(backupDir, systemIdentifier);
  const listed = [...(await store.list(`${prefix}wal/`, signal)), ...(await store.list(`${prefix}${REPLACING}wal/`, signal))];
  const keys = [...new Set(listed.map(({ key }) => key.slice(prefix.length).replace(REPLACING, '')))];
  const recordKey = keys.find((key) => key === `wal/${RECORD}.age` || key === `wal/${RECORD}`);
  if (recordKey === undefined) return 0;
  const record = await opened(recordKey);
  await files.makeDirectory(dir, { mode: 0o700 });
  if ((await namesIn(dir)).includes(RECORD) === false) await files.write(join(dir, RECORD), record, { mode: 0o600 });
  const archive = openArchive(backupDir, systemIdentifier, files);
  const sizeBytes = (await archive.segmentSizeBytes())!;
  let brought = 0;
  for (const key of keys) {
    const history = HISTORY.exec(key);
    if (history !== null) await keep(history[1]!, history[2]!, key, async (plain) => plain);
    const whole = WHOLE.exec(key);
    if (whole !== null)
      brought += await keep(whole[1]!, whole[2]!, key, async (packed) => {
        const plain = await (await zstd()).decompress(packed, sizeBytes);
        if (plain.length === sizeBytes && sha16Of(plain) === whole[4]) return packed;
        throw damaged(key);
      });
  }
  for (const [name, { timeline, key }] of longestTails(keys)) {
    const wholes = (await namesIn(join(dir, timeline))).some((file) => parseKept(file)?.name === name);
    if (!wholes) brought += await keep(timeline, tailFile(name), key, async (packed) => (await zstd()).decompress(packed, sizeBytes));
  }
  return brought;

  async function opened(key: string): Promise<Buffer> {
    const sealed = (await store.get(`${prefix}${key}`, signal)) ?? (await store.get(`${prefix}${REPLACING}${key}`, signal));
    if (sealed === undefined) throw damaged(key);
    return unsealed(seal, key, sealed);
  }

  async function keep(timeline: string, file: string, key: string, checked: (plain: Buffer) => Promise<Buffer>): Promise<number> {
    const folder = join(dir, timeline);
    if ((await namesIn(folder)).includes(file)) return 0;
    const bytes = await checked(await opened(key));
    await files.makeDirectory(folder, { mode: 0o700 });
    await files.write(join(folder, file), bytes, { mode: 0o600 });
    return 1;
  }

  function damaged(key: string): DbkitError {
    return new DbkitError('data.corrupt', `${prefix}${key} in ${store.place} is not the WAL that its name says`);
  }
}

function longestTails(keys: readonly string[]): Map<string, { timeline: string; key: string }> {
  const tails = new Map<string, { timeline: string; key: string }>();
  for (const key of [...keys].sort()) {
    const [, timeline, name] = TAIL.exec(key) ?? [];
    if (timeline !== undefined && name !== undefined) tails.set(name, { timeline, key });
  }
  return tails;
}
