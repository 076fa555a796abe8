import { lstat } from 'node:fs/promises';
import { toBytes } from '../../formats/byte-path.ts';
import { openLayered } from '../../formats/layered-file.ts';
import { loadZstdSync } from '../../formats/zstd.ts';
import { unlessMissing } from '../../kernel/errors.ts';
import type { Whereabouts } from '../base/pages/packed.ts';
import { openRegular } from '../regular-file.ts';

/** A file of a backup that is open for reading. */
export interface OpenFile {
  readonly sizeBytes: number;
  readonly mode: number;
  /** The same for two files that are one; undefined where the bytes are not those of a file on the disk. */
  readonly identity: string | undefined;
  /** Fewer than fit only at the end. */
  fill(into: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Rejects with `data.corrupt` for what is no regular file, or cannot be what it was, else as open(2) does. */
export const openFile = ({ from, layers }: Whereabouts): Promise<OpenFile> =>
  layers === undefined ? openPlain(toBytes(from)) : openPacked({ from, layers });

/** Undefined where it is not there. */
export const openIfThere = (where: Whereabouts): Promise<OpenFile | undefined> => openFile(where).catch(unlessMissing);

async function openPlain(path: Buffer): Promise<OpenFile> {
  const file = await openRegular(path);
  const { size, mode, ino, dev } = await file.stat();
  return {
    sizeBytes: size,
    mode: mode & 0o777,
    identity: `${dev} ${ino}`,
    async fill(into, position) {
      let filled = 0;
      while (filled < into.length) {
        const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    },
    close: () => file.close(),
  };
}

async function openPacked({
  from,
  layers,
}: Required<Pick<Whereabouts, 'from'>> & { layers: NonNullable<Whereabouts['layers']> }): Promise<OpenFile> {
  await loadZstdSync();
  const { mode } = await lstat(toBytes(from));
  const source = openLayered(from, layers);
  return {
    sizeBytes: source.sizeBytes,
    mode: mode & 0o777,
    identity: undefined,
    fill: async (into, position) => source.fill(into, into.length, position),
    close: async () => source.close(),
  };
}

/** Bytes that are in no file. */
export const openBytes = (bytes: Buffer, mode: number): OpenFile => ({
  sizeBytes: bytes.length,
  mode,
  identity: undefined,
  fill: async (into, position) => bytes.copy(into, 0, position, position + into.length),
  close: async () => undefined,
});
