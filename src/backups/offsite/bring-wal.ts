import { join } from 'node:path';
import { zstd } from '../../formats/zstd.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Files } from '../../kernel/machine.ts';
import { namesIn } from '../../machine/is-there.ts';
import { opened as unsealed } from '../../store/age.ts';
import { openArchive, parseArchiveRecord, sha16Of } from '../../wal/archive.ts';
import { archiveDir, parseKept, RECORD, tailFile } from '../../wal/layout.ts';
import { WHOLE } from './needless-wal.ts';
import { type Place, REPLACING } from './place.ts';
import { chainOf, parseTail, type TailPiece } from './tails.ts';

type Writing = Pick<Files, 'write' | 'makeDirectory'>;

const HISTORY = /^wal\/([0-9A-F]{8})\/([0-9A-F]{8}\.history)(\.age)?$/;

/** The WAL of a copy into BACKUP_DIR/wal: what is not here yet. How many segments came. */
export async function bringWalBack(place: Place, backupDir: string, files: Writing, signal: AbortSignal): Promise<number> {
  const { store, seal, prefix, systemIdentifier } = place;
  const dir = archiveDir(backupDir, systemIdentifier);
  const listed = [...(await store.list(`${prefix}wal/`, signal)), ...(await store.list(`${prefix}${REPLACING}wal/`, signal))];
  const keys = [...new Set(listed.map(({ key }) => key.slice(prefix.length).replace(REPLACING, '')))];
  const recordKey = keys.find((key) => key === `wal/${RECORD}.age` || key === `wal/${RECORD}`);
  if (recordKey === undefined) return 0;
  const record = await opened(recordKey);
  if (parseArchiveRecord(record.toString(), `${prefix}${recordKey}`).systemIdentifier !== systemIdentifier) throw damaged(recordKey);
  await files.makeDirectory(dir, { mode: 0o700 });
  if ((await namesIn(dir)).includes(RECORD) === false) await files.write(join(dir, RECORD), record, { mode: 0o600 });
  const archive = openArchive(backupDir, systemIdentifier, files);
  const sizeBytes = (await archive.segmentSizeBytes())!;
  let brought = 0;
  for (const key of keys) {
    const history = HISTORY.exec(key);
    if (history !== null) await keep(history[1]!, history[2]!, () => opened(key));
    const whole = WHOLE.exec(key);
    if (whole !== null)
      brought += await keep(whole[1]!, whole[2]!, async () => {
        const packed = await opened(key);
        const plain = await unpacked(key, packed);
        if (plain.length === sizeBytes && sha16Of(plain) === whole[4]) return packed;
        throw damaged(key);
      });
  }
  for (const [name, pieces] of tailsOf(keys)) {
    const { timeline } = pieces[0]!;
    const wholes = (await namesIn(join(dir, timeline))).some((file) => parseKept(file)?.name === name);
    if (!wholes) brought += await keep(timeline, tailFile(name), () => gathered(pieces));
  }
  return brought;

  async function gathered(pieces: readonly TailPiece[]): Promise<Buffer> {
    const plain: Buffer[] = [];
    if (pieces.at(-1)!.to > sizeBytes) throw damaged(pieces.at(-1)!.key);
    for (const { key, from, to } of pieces) {
      const bytes = await unpacked(key, await opened(key));
      if (bytes.length !== to - from) throw damaged(key);
      plain.push(bytes);
    }
    return Buffer.concat(plain);
  }

  async function unpacked(key: string, packed: Buffer): Promise<Buffer> {
    return (await zstd()).decompress(packed, sizeBytes).catch((cause: unknown) => {
      throw damaged(key, cause);
    });
  }

  async function opened(key: string): Promise<Buffer> {
    const sealed = (await store.get(`${prefix}${key}`, signal)) ?? (await store.get(`${prefix}${REPLACING}${key}`, signal));
    if (sealed === undefined) throw damaged(key);
    return unsealed(seal, key, sealed);
  }

  async function keep(timeline: string, file: string, checked: () => Promise<Buffer>): Promise<number> {
    const folder = join(dir, timeline);
    if ((await namesIn(folder)).includes(file)) return 0;
    const bytes = await checked();
    await files.makeDirectory(folder, { mode: 0o700 });
    await files.write(join(folder, file), bytes, { mode: 0o600 });
    return 1;
  }

  function damaged(key: string, cause?: unknown): DbkitError {
    return new DbkitError('data.corrupt', `${prefix}${key} in ${store.place} is not the WAL that its name says`, { cause });
  }
}

/** By segment: the pieces that make the most of it. */
function tailsOf(keys: readonly string[]): Map<string, readonly TailPiece[]> {
  const pieces = keys.map(parseTail).filter((piece) => piece !== undefined);
  const names = new Set(pieces.map(({ segment }) => segment));
  const chains = [...names].map((name) => [name, chainOf(pieces.filter(({ segment }) => segment === name))] as const);
  return new Map(chains.filter(([, chain]) => chain.length > 0));
}
