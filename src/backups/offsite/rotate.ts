import { createHash } from 'node:crypto';
import { DbkitError } from '../../kernel/errors.ts';
import type { Clock } from '../../kernel/machine.ts';
import { opened } from '../../store/age.ts';
import { markExpired } from './expire-copies.ts';
import { type CopySummary, type Place, REPLACING } from './place.ts';
import { usedMark, walMark } from './wal-marks.ts';

export interface RotatedCopy {
  /** Backups whose objects were encrypted again, and those that were already for these keys. */
  readonly backups: readonly string[];
  readonly current: readonly string[];
  readonly walObjects: number;
}

/**
 * Everything in a copy is encrypted again, to the recipients of today: first as new objects, then the summary names them, and the old objects go a
 * week later. WAL is replaced object by object. Killed at any instant, the next run goes on. Rejects with `key.unusable` where the identity does
 * not open what is there; the caller holds the copy's lock.
 */
export async function rotateCopy(
  place: Place,
  clock: Pick<Clock, 'now'>,
  signal: AbortSignal,
  /** Keeps others from sending WAL there meanwhile. */
  alone: <T>(work: () => Promise<T>) => Promise<T> = (work) => work(),
): Promise<RotatedCopy> {
  await finishReplacing(place, signal);
  const summaries = await place.summaries(signal);
  const old = summaries.filter(({ keys }) => keys !== place.seal.keys);
  const renamed = new Map<string, { key: string; storedBytes: number }>(); // Backups share packs: each is encrypted again once.
  for (const summary of old) await rotateBackup(place, summary, renamed, clock.now(), signal);
  const walObjects = await alone(() => rotateWal(place, signal));
  const labelsOf = (some: readonly CopySummary[]): string[] => some.map(({ label }) => label);
  return { backups: labelsOf(old), current: labelsOf(summaries.filter((one) => !old.includes(one))), walObjects };
}

/** By what is noted in the copy: the parts that today's recipients open, and the others. */
export interface Dependence {
  readonly current: readonly string[];
  /** Backups that need a key of before. */
  readonly older: readonly string[];
  /** 'older': some of it may need a key of before. */
  readonly wal: 'current' | 'older' | 'none';
}

export async function dependence(place: Place, signal: AbortSignal): Promise<Dependence> {
  const { store, prefix, seal } = place;
  const summaries = await place.summaries(signal);
  const labels = (isCurrent: boolean): string[] =>
    summaries.filter(({ keys }) => (keys === seal.keys) === isCurrent).map(({ label }) => label);
  const isKept = (await store.list(`${prefix}wal/`, signal)).length > 0;
  const isMarked = (await store.stat(`${prefix}${walMark(seal.keys)}`, signal)) !== undefined;
  return { current: labels(true), older: labels(false), wal: !isKept ? 'none' : isMarked ? 'current' : 'older' };
}

async function rotateBackup(
  place: Place,
  summary: CopySummary,
  renamed: Map<string, { key: string; storedBytes: number }>,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const manifest = await place.manifest(summary, signal);
  const packs: (typeof manifest.packs)[number][] = [];
  for (const pack of manifest.packs) {
    const before = renamed.get(pack.key) ?? (await sealAgain(place, pack.key, signal));
    renamed.set(pack.key, before);
    packs.push({ ...before, frames: pack.frames });
  }
  const about = { ...summary, copiedAt: now.toISOString() };
  await markExpired(place, { ...summary, label: `${summary.label}-${summary.manifest.sha256.slice(0, 16)}` }, now, signal);
  await place.publish({ ...manifest, packs }, about, signal, (key, body) => replace(place, key, body, signal));
}

async function sealAgain(
  { pack, seal, store, prefix }: Place,
  key: string,
  signal: AbortSignal,
): Promise<{ key: string; storedBytes: number }> {
  const stored = await pack(key, signal);
  const sealed = await seal.close(await opened(seal, key, stored));
  const name = `packs/${createHash('sha256').update(sealed).digest('hex')}${seal.suffix}`;
  await store.put(`${prefix}${name}`, sealed, signal);
  return { key: name, storedBytes: sealed.length };
}

/**
 * Objects that are written once it is finished are for today's keys, so a finished rotation is remembered there. Some of before may be too: the identity
 * that opens nothing of them opens all others, where only one other set of keys was ever used there.
 */
async function rotateWal(place: Place, signal: AbortSignal): Promise<number> {
  const { store, prefix, seal } = place;
  const mark = `${prefix}${walMark(seal.keys)}`;
  if ((await store.stat(mark, signal)) !== undefined) return 0;
  const others = await otherKeys(place, signal);
  await store.put(`${prefix}${usedMark(seal.keys)}`, Buffer.from('\n'), signal);
  let [objects, today] = [0, 0];
  for (const { key } of await store.list(`${prefix}wal/`, signal)) {
    const stored = await store.get(key, signal);
    if (stored === undefined) continue; // A tail that has become a whole segment.
    const plain = await opened(seal, key, stored).catch((cause: unknown) => {
      if (!(others.size === 1 && cause instanceof DbkitError && cause.code === 'key.unusable')) throw cause;
    });
    if (plain === undefined) {
      today += 1;
      continue;
    }
    const sealed = await seal.close(plain);
    const name = `${key.replace(/\.age$/, '')}${seal.suffix}`;
    if (name === key) await replace(place, key.slice(prefix.length), sealed, signal);
    else {
      await store.put(name, sealed, signal);
      await store.remove(key, signal);
    }
    objects += 1;
  }
  if (today > 0 && objects === 0)
    throw new DbkitError('key.unusable', `the identity that is given opens no WAL in ${store.place}`, {
      hint: 'give a file that holds the old identity, and the new one too where a rotation was cut off: `dbkit keys rotate --identity FILE`',
    });
  await store.put(mark, Buffer.from('\n'), signal);
  for (const key of others) await store.remove(key, signal);
  return objects;
}

/** The marks of keys that are not today's, for which WAL may be encrypted there. */
async function otherKeys({ store, prefix, seal }: Place, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const today = [walMark(seal.keys), usedMark(seal.keys)].map((key) => `${prefix}${key}`);
  const used = new Set<string>();
  for (const { key } of await store.list(`${prefix}keys/wal-`, signal)) {
    if (today.includes(key)) continue;
    const other = key.replace(/\/wal-([^/]*)$/, '/used-$1');
    await store.put(other, Buffer.from('\n'), signal); // It says no longer that all is for those, but some may be.
    await store.remove(key, signal);
  }
  for (const { key } of await store.list(`${prefix}keys/used-`, signal)) if (!today.includes(key)) used.add(key);
  return used;
}

/** Other bytes under a name that is written once: they lie aside until they are there. */
async function replace({ store, prefix }: Place, key: string, body: Buffer, signal: AbortSignal): Promise<void> {
  const aside = `${prefix}${REPLACING}${key}`;
  await store.remove(aside, signal);
  await store.put(aside, body, signal);
  await store.remove(`${prefix}${key}`, signal);
  await store.put(`${prefix}${key}`, body, signal);
  await store.remove(aside, signal);
}

/** Objects that a killed run had laid aside, whole, take their place now. */
export async function finishReplacing({ store, prefix }: Place, signal: AbortSignal): Promise<void> {
  for (const { key } of await store.list(`${prefix}${REPLACING}`, signal)) {
    const body = await store.get(key, signal);
    if (body === undefined) throw new DbkitError('store.unavailable', `${key} in ${store.place} is listed and cannot be read`);
    const target = `${prefix}${key.slice(prefix.length + REPLACING.length)}`;
    await store.remove(target, signal);
    await store.put(target, body, signal);
    await store.remove(key, signal);
  }
}
