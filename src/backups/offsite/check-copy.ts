import { DbkitError, toFailure } from '../../kernel/errors.ts';
import type { CopySummary, Place } from './place.ts';

export interface CheckedCopy {
  readonly label: string;
  readonly ok: boolean;
  readonly problem: string | null;
}

/** Every stored byte of one backup against its hash. `sound`: packs that need not be read again, for several backups share them. */
export async function checkCopy(place: Place, summary: CopySummary, sound: Set<string>, signal: AbortSignal): Promise<CheckedCopy> {
  const { label, manifest, packs } = summary;
  try {
    await place.sealedManifest(summary, signal);
    for (const [key] of packs) {
      if (sound.has(`${place.prefix}${key}`)) continue;
      await place.pack(key, signal);
      sound.add(`${place.prefix}${key}`);
    }
    return { label, ok: true, problem: null };
  } catch (cause) {
    const failure = toFailure(cause);
    if (failure.code !== 'data.corrupt') throw cause; // A store that does not answer proves nothing.
    return { label, ok: false, problem: failure.message || manifest.key };
  }
}

/**
 * A backup that was copied just now: that all its packs are there with their size, and each object that this run sent, or every one
 * where it sent none, read back. Rejects with `data.corrupt`.
 */
export async function readBack(
  place: Place,
  summary: CopySummary,
  sent: 'nothing' | ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const { store, prefix } = place;
  const there = new Map((await store.list(`${prefix}packs/`, signal)).map(({ key, sizeBytes }) => [key.slice(prefix.length), sizeBytes]));
  const lost = summary.packs.find(([key, storedBytes]) => there.get(key) !== storedBytes);
  if (lost !== undefined)
    throw new DbkitError('data.corrupt', `${prefix}${lost[0]} in ${store.place} is not what was written`, {
      hint: 'find out who else writes or removes there; the backup here stays until its copy is whole',
    });
  const older = new Set(summary.packs.filter(([key]) => sent !== 'nothing' && !sent.has(key)).map(([key]) => `${prefix}${key}`));
  const { problem } = await checkCopy(place, summary, older, signal);
  if (problem !== null)
    throw new DbkitError('data.corrupt', problem, {
      hint: 'the place does not keep what it is given: check its disk; the backup here stays',
    });
}
