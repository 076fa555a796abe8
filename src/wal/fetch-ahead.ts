import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSegmentName, segmentName } from '../formats/wal-segment.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { Files } from '../kernel/machine.ts';
import type { WalArchive } from './contract.ts';

/** So many segments are unpacked at once: what asks for them starts a program each time it has none. */
const AHEAD = 8;

/** Fetches a file for a recovery, and lays the next segments out in `<archive>/.ahead`, where bin/dbkit-wal takes them. False: it is not there. */
export async function fetchAhead(
  archive: WalArchive,
  name: string,
  to: string,
  files: Pick<Files, 'makeDirectory'>,
  signal: AbortSignal,
): Promise<boolean> {
  if (!(await archive.fetch(name, to, signal))) return false;
  const size = await archive.segmentSizeBytes();
  const first = size === undefined ? undefined : parseSegmentName(name, size);
  if (size === undefined || first === undefined) return true;
  const ahead = join(archive.dir, '.ahead');
  const wanted = Array.from({ length: AHEAD }, (_, index) => segmentName(first.timeline, first.segment + 1n + BigInt(index), size));
  try {
    await files.makeDirectory(ahead, { mode: 0o700 });
    const there = await readdir(ahead);
    for (const old of there.filter((file) => !wanted.includes(file))) await rm(join(ahead, old), { force: true });
    for (const next of wanted.filter((file) => !there.includes(file))) {
      const aside = join(ahead, `${next}.part`);
      if (!(await archive.fetch(next, aside, signal))) break;
      await rename(aside, join(ahead, next));
    }
  } catch (cause) {
    if (errnoOf(cause) === undefined) signal.throwIfAborted(); // What was asked for is there; the next ones are asked for one by one.
  }
  return true;
}
