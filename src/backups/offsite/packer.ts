import { createHash } from 'node:crypto';
import { zstd } from '../../formats/zstd.ts';
import type { Seal } from '../../store/age.ts';
import type { Store } from '../../store/store.ts';
import type { Pack, Run } from './manifest.ts';

export const FRAME_BYTES = 1024 * 1024;
/** With its encryption a pack stays below what one PUT takes; without limit on its plain bytes a pack of zeroes would not fit into memory. */
const PACKED_BYTES_MAX = 12 * 1024 * 1024;
export const PLAIN_BYTES_MAX = 32 * 1024 * 1024;

/** Packs that an earlier run has stored, by the SHA-256 of what is in them: encrypted twice, the same bytes differ. */
export interface StoredPacks {
  find(plainSha256: string): { readonly key: string; readonly storedBytes: number } | undefined;
  add(plainSha256: string, pack: { readonly key: string; readonly storedBytes: number }): Promise<void>;
}

export interface Packer {
  /** Where these bytes will lie. They are copied. */
  add(bytes: Uint8Array, signal: AbortSignal): Promise<readonly Run[]>;
  /** Stores what is left; every pack that was filled, in the order of the runs' numbers, behind `first`. */
  finish(signal: AbortSignal): Promise<readonly Pack[]>;
  /** The bytes that were sent. */
  sentBytes(): number;
}

/** Bytes → zstd frames → packs → seal → store. `first`: how many packs there are already, which the runs' numbers count on from. */
export function createPacker(
  { store, seal, prefix, stored }: { readonly store: Store; readonly seal: Seal; readonly prefix: string; readonly stored: StoredPacks },
  first: number,
): Packer {
  const packs: Pack[] = [];
  const frame = Buffer.allocUnsafe(FRAME_BYTES);
  let frameBytes = 0;
  let frames: Buffer[] = [];
  let packedBytes = 0;
  let sent = 0;

  async function closeFrame(signal: AbortSignal): Promise<void> {
    if (frameBytes === 0) return;
    const packed = await (await zstd()).compress(frame.subarray(0, frameBytes));
    frames.push(packed);
    packedBytes += packed.length;
    const isLast = frameBytes < FRAME_BYTES;
    frameBytes = 0;
    if (isLast || packedBytes >= PACKED_BYTES_MAX || frames.length * FRAME_BYTES >= PLAIN_BYTES_MAX) await closePack(signal);
  }

  async function closePack(signal: AbortSignal): Promise<void> {
    if (frames.length === 0) return;
    const plain = Buffer.concat(frames);
    const plainSha256 = createHash('sha256').update(plain).digest('hex');
    const before = stored.find(plainSha256);
    packs.push({ ...(before ?? (await send(plain, plainSha256, signal))), frames: frames.map(({ length }) => length) });
    frames = [];
    packedBytes = 0;
  }

  async function send(plain: Buffer, plainSha256: string, signal: AbortSignal): Promise<Omit<Pack, 'frames'>> {
    const sealed = await seal.close(plain);
    const key = `packs/${createHash('sha256').update(sealed).digest('hex')}${seal.suffix}`;
    await store.put(`${prefix}${key}`, sealed, signal);
    sent += sealed.length;
    const pack = { key, storedBytes: sealed.length };
    await stored.add(plainSha256, pack);
    return pack;
  }

  return {
    async add(bytes, signal) {
      const runs: Run[] = [];
      for (let done = 0; done < bytes.length; ) {
        const length = Math.min(FRAME_BYTES - frameBytes, bytes.length - done);
        runs.push({ pack: first + packs.length, offset: frames.length * FRAME_BYTES + frameBytes, length });
        frame.set(bytes.subarray(done, done + length), frameBytes);
        frameBytes += length;
        done += length;
        if (frameBytes === FRAME_BYTES) await closeFrame(signal);
      }
      return runs;
    },
    async finish(signal) {
      await closeFrame(signal);
      await closePack(signal);
      return packs;
    },
    sentBytes: () => sent,
  };
}

/** Runs that follow one another are one. */
export function joined(runs: readonly Run[]): Run[] {
  const made: Run[] = [];
  for (const run of runs) {
    const last = made.at(-1);
    if (last !== undefined && last.pack === run.pack && last.offset + last.length === run.offset)
      made[made.length - 1] = { ...last, length: last.length + run.length };
    else made.push(run);
  }
  return made;
}

/** The plain bytes of a pack out of what the store has. */
export async function unpack({ frames }: Pack, packed: Buffer): Promise<Buffer> {
  const { decompress } = await zstd();
  const plain: Buffer[] = [];
  let at = 0;
  for (const length of frames) {
    plain.push(await decompress(packed.subarray(at, at + length), FRAME_BYTES));
    at += length;
  }
  if (at !== packed.length) throw new RangeError('a pack has more bytes than its frames');
  return Buffer.concat(plain);
}
