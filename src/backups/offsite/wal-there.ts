import type { Place } from './place.ts';
import { parseTail, type TailPiece } from './tails.ts';
import { usedMark, walMark } from './wal-marks.ts';

/** The WAL objects of a copy, as one sender knows them: listed once, then kept in step with what it does itself. Keys are without the suffix of the seal. */
export interface WalThere {
  /** Listed with the first call. */
  objects(signal: AbortSignal): Promise<ReadonlySet<string>>;
  has(key: string): boolean;
  piecesOf(segment: string): readonly TailPiece[];
  /** Asked of the place again: others may have sent pieces of that segment too. */
  askForPieces(timeline: string, segment: string, signal: AbortSignal): Promise<readonly TailPiece[]>;
  put(key: string, plain: Buffer, signal: AbortSignal): Promise<void>;
  remove(pieces: readonly TailPiece[], signal: AbortSignal): Promise<void>;
  /** Of all calls of `put`. */
  sent(): { readonly sentObjects: number; readonly sentBytes: number };
}

export function openWalThere({ store, seal, prefix }: Place): WalThere {
  let objects: Set<string> | undefined;
  const pieces = new Map<string, TailPiece>();
  const sent = { sentObjects: 0, sentBytes: 0 };
  const learn = (keys: readonly string[]): readonly TailPiece[] => {
    const found = keys.map(parseTail).filter((piece) => piece !== undefined);
    for (const piece of found) pieces.set(piece.key, piece);
    return found;
  };
  const keysBelow = async (folder: string, signal: AbortSignal): Promise<string[]> =>
    (await store.list(`${prefix}${folder}`, signal)).map(({ key }) => key.slice(prefix.length));
  return {
    async objects(signal) {
      if (objects !== undefined) return objects;
      const keys = await keysBelow('wal/', signal);
      await store.put(`${prefix}${usedMark(seal.keys)}`, Buffer.from('\n'), signal);
      if (keys.length === 0) await store.put(`${prefix}${walMark(seal.keys)}`, Buffer.from('\n'), signal);
      learn(keys);
      objects = new Set(keys.filter((key) => !pieces.has(key)));
      return objects;
    },
    has: (key) => objects?.has(`${key}${seal.suffix}`) ?? false,
    piecesOf: (segment) => [...pieces.values()].filter((piece) => piece.segment === segment),
    askForPieces: async (timeline, segment, signal) => learn(await keysBelow(`wal/${timeline}/tail/${segment}-`, signal)),
    async put(key, plain, signal) {
      const sealed = await seal.close(plain);
      const name = `${key}${seal.suffix}`;
      await store.put(`${prefix}${name}`, sealed, signal);
      if (learn([name]).length === 0) objects?.add(name);
      sent.sentObjects += 1;
      sent.sentBytes += sealed.length;
    },
    async remove(some, signal) {
      for (const { key } of some) {
        await store.remove(`${prefix}${key}`, signal);
        pieces.delete(key);
      }
    },
    sent: () => ({ ...sent }),
  };
}
