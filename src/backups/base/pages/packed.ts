import { existsSync } from 'node:fs';
import * as v from 'valibot';
import { type BytePath, fromText, join } from '../../../formats/byte-path.ts';
import type { Layers } from '../../../formats/layered-file.ts';
import { isPathInside } from '../../names.ts';

/** The folder of a backup in which its earlier pages are, and files of which pages were written over. */
export const PAGES = fromText('.pages');
/** Where pg_control is meanwhile, so that no server starts on a directory that is not all of a backup. */
export const PACKED_CONTROL = fromText('.pages/pg_control');
export const CONTROL = fromText('global/pg_control');

const name = v.pipe(v.string(), v.regex(/^data_\d{8}_\d{6}-\d+\.(file|old)$/, 'is no name of a file with pages'));

/** A file that a later backup has taken over; path in latin1, one character a byte. */
export const packedSchema = v.object({
  path: v.pipe(v.string(), v.check(isPathInside, 'leads out of the backup')),
  /** As it was. */
  sizeBytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** The file as it has become, and the deltas that lead back, the nearest to what it was first; in `.pages/`. */
  file: name,
  deltas: v.pipe(v.array(name), v.minLength(1)),
});
export type PackedFile = v.InferOutput<typeof packedSchema>;

/** The fields of a record that say which files are not plain. */
export interface Packing {
  readonly packed: readonly PackedFile[];
}

/** The bytes of one file of a backup: which file they are in, absolute, and what is to be laid over it. */
export interface Whereabouts {
  readonly from: BytePath;
  readonly layers: Layers | undefined;
}

export const pageFile = (directory: BytePath, file: string): BytePath => join(directory, PAGES, fromText(file));

/** Where the files of a backup in `directory` are. A kill may have left pg_control at its own place still. */
export function whereaboutsIn({ packed }: Packing, directory: BytePath): (path: BytePath) => Whereabouts {
  if (packed.length === 0) return (path) => ({ from: join(directory, path), layers: undefined });
  const files = new Map<string, PackedFile>(packed.map((file) => [file.path, file]));
  const control = join(directory, PACKED_CONTROL);
  return (path) => {
    const file = files.get(path);
    if (file !== undefined) {
      const deltas = file.deltas.map((delta) => pageFile(directory, delta));
      return { from: pageFile(directory, file.file), layers: { deltas, sizeBytes: file.sizeBytes } };
    }
    const from = path === CONTROL && existsSync(Buffer.from(control, 'latin1')) ? control : join(directory, path);
    return { from, layers: undefined };
  };
}

/** True of what lies in the folder of pages, and of the folder. */
export const isOfPages = (path: BytePath): boolean => path === PAGES || path.startsWith(`${PAGES}/`);

/** The files of a backup by their plain names; `found`: what lies in its directory. */
export function filesAmong(found: readonly BytePath[], { packed }: Packing): BytePath[] {
  const plain = found.filter((path) => !isOfPages(path));
  if (packed.length === 0) return plain;
  return [...new Set([...plain, ...packed.map(({ path }) => path as BytePath), CONTROL])];
}

export const README = 'README';
