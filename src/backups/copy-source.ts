import { type BytePath, toBytes } from '../formats/byte-path.ts';
import { type ByteSource, type Layers, openLayered, sourceOf } from '../formats/layered-file.ts';
import { DbkitError, errnoOf, unlessMissing } from '../kernel/errors.ts';
import { openRegularSync } from './regular-file.ts';

/** The source itself is in the way: a sector, a file system that is damaged there, or pages that are not what was written. */
export class Unreadable extends Error {}

const ofTheFile = new Set(['EIO', 'EUCLEAN', 'EBADMSG']);

/** Throws `Unreadable`, with its cause, where that speaks of the file and not of the machine. */
export function reading<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const isOfTheFile = ofTheFile.has(errnoOf(cause) ?? '') || (cause instanceof DbkitError && cause.code === 'data.corrupt');
    throw isOfTheFile ? new Unreadable('', { cause }) : cause;
  }
}

/** Undefined when there is no such file. */
export function openSource(
  { layers, untrusted }: { readonly layers?: Layers | undefined; readonly untrusted?: boolean },
  path: BytePath,
): ByteSource | undefined {
  return reading(() => {
    if (layers === undefined) return openIfThere(path, (file) => openRegularSync(file, { follow: untrusted !== true }), sourceOf);
    try {
      return openLayered(path, layers);
    } catch (thrown) {
      return unlessMissing(thrown);
    }
  });
}

/** Undefined when there is no such file. */
export function openIfThere<T>(path: BytePath, opening: (path: Buffer) => number, as: (file: number) => T): T | undefined {
  try {
    return as(opening(toBytes(path)));
  } catch (thrown) {
    return unlessMissing(thrown);
  }
}
