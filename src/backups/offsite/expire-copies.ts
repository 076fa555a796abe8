import * as v from 'valibot';
import type { Fork } from '../../formats/timeline-history.ts';
import { DbkitError, isAbort, wordsOf } from '../../kernel/errors.ts';
import { parseLabel } from '../../kernel/labels.ts';
import type { Clock, FaultPoint, Logger } from '../../kernel/machine.ts';
import type { RetentionDecision } from '../backup.ts';
import { parseJson } from '../names.ts';
import { planRetention, type RetentionPolicy } from '../retention.ts';
import { needlessWal } from './needless-wal.ts';
import { type CopySummary, neededWal, type Place } from './place.ts';

/** Beside `backups/`: a backup that retention has let go, until its objects are swept. Written once, before its summary is removed. */
const markerSchema = v.looseObject({
  schema: v.literal('dbkit.copy-expired/v1'),
  label: v.string(),
  expiredAt: v.pipe(v.string(), v.isoTimestamp()),
  manifest: v.pipe(v.string(), v.regex(/^backups\/[a-z0-9_]+-[0-9a-f]{16}\.manifest\.zst(\.age)?$/)),
  packs: v.array(v.pipe(v.string(), v.regex(/^packs\/[0-9a-f]{64}(\.age)?$/))),
  /** Where the WAL begins that it needed. */
  wal: neededWal,
});
type Marker = v.InferOutput<typeof markerSchema>;

/** Another machine may copy at this moment and rely on packs of the backup that goes: no copy takes that long. */
const GRACE_MS = 7 * 86_400_000;

export interface ExpireCopiesNeeds {
  readonly place: Place;
  readonly policy: Omit<RetentionPolicy, 'justMade' | 'awaits'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Where each timeline forked off its ancestors, as far as it is known here. */
  readonly histories: ReadonlyMap<number, readonly Fork[]>;
  /** Keeps others on this machine from sending WAL there meanwhile. */
  readonly alone?: <T>(work: () => Promise<T>) => Promise<T>;
  readonly reached?: FaultPoint;
}

export interface CopyExpiry {
  /** Newest first. */
  readonly decisions: readonly RetentionDecision[];
  /** Objects that were removed, or would be. */
  readonly swept: number;
  /** WAL segments that no backup there needs, which were removed, or would be. */
  readonly walSegments: number;
}

/**
 * Lets go of what the policy does not keep in a copy, and a week later of the objects that no backup needs any more. Killed at any instant, the
 * next run goes on. The caller holds the copy's lock. What the store refuses to remove is told, and stays.
 */
export async function expireCopies(
  { place, policy, clock, log, histories, alone = (work) => work(), reached = () => undefined }: ExpireCopiesNeeds,
  { dryRun }: { readonly dryRun: boolean },
  signal: AbortSignal,
): Promise<CopyExpiry> {
  const summaries = await place.summaries(signal);
  const decisions = (['data', 'dump'] as const).flatMap((kind) =>
    planRetention(summaries.filter(({ label }) => parseLabel(label)?.kind === kind).map(candidateOf), policy),
  );
  const going = summaries.filter(({ label }) => decisions.some((one) => one.label === label && !one.keep));
  if (!dryRun) for (const summary of going) await letGo(place, summary, clock.now(), signal).then(() => reached('copy.summary-removed'));
  const kept = dryRun ? summaries.filter((one) => !going.includes(one)) : await place.summaries(signal); // Another machine may have added some.
  const markers = await markersOf(place, kept, signal);
  const due = markers.filter(({ expiredAt }) => clock.now().getTime() - Date.parse(expiredAt) >= GRACE_MS);
  const young = markers.filter((marker) => !due.includes(marker));
  const needed = new Set([
    ...kept.flatMap(({ packs, manifest }) => [manifest.key, ...packs.map(([key]) => key)]),
    ...young.flatMap(({ packs }) => packs),
  ]);
  const sweep = async (): Promise<number> => {
    let swept = 0;
    for (const marker of due) swept += await sweepOne(place, marker, needed, { dryRun }, signal);
    return swept;
  };
  const orNone = (cause: unknown): number => {
    if (isAbort(cause) || !(cause instanceof DbkitError)) throw cause;
    log.warn('copy.retained', `${place.store.place} keeps objects that no backup needs: ${wordsOf(cause)}`);
    return 0;
  };
  /** Before the markers go: a run that was killed here is done again. */
  const wal = (): Promise<number> => expireWalThere(place, [...kept, ...young.filter(isBackup)], histories, { dryRun, reached }, signal);
  const walSegments = due.some(isBackup) ? await alone(wal).catch(orNone) : 0;
  const swept = await sweep().catch(orNone);
  if (!dryRun)
    for (const { label } of going)
      log.info('copy.expired', `Let go of ${label} in ${place.store.place}; its objects are removed in a week.`, { label });
  return { decisions, swept, walSegments };
}

/** A backup that went, not one whose objects were encrypted again. */
const isBackup = ({ label }: Marker): boolean => parseLabel(label) !== undefined;

/**
 * Oldest first, so that what a kill leaves has no hole behind which something is needed. Backups that went within the week count too: another machine may copy
 * one at this moment that is as old as they are, and nobody here knows of it before its summary is there.
 */
async function expireWalThere(
  { store, prefix }: Place,
  kept: readonly Pick<CopySummary, 'label' | 'wal'>[],
  histories: ExpireCopiesNeeds['histories'],
  { dryRun, reached }: { readonly dryRun: boolean; readonly reached: FaultPoint },
  signal: AbortSignal,
): Promise<number> {
  const keys = (await store.list(`${prefix}wal/`, signal)).map(({ key }) => key.slice(prefix.length));
  const going = needlessWal(keys, kept, histories);
  if (!dryRun) for (const key of going) await store.remove(`${prefix}${key}`, signal).then(() => reached('copy.wal-removed'));
  return going.length;
}

const candidateOf = ({ label, systemIdentifier }: CopySummary) => ({ label, systemIdentifier, state: 'good' as const, pinned: false });

const markerKey = (label: string): string => `expired/${label}.json`;

async function letGo(place: Place, summary: CopySummary, now: Date, signal: AbortSignal): Promise<void> {
  await markExpired(place, summary, now, signal);
  await place.store.remove(`${place.prefix}backups/${summary.label}.json`, signal);
}

/** From now on, and a week later for good, these objects are needed by nobody, unless a summary that is there then names them. */
export async function markExpired(
  { store, prefix }: Place,
  { label, manifest, packs, wal }: Pick<CopySummary, 'label' | 'manifest' | 'packs' | 'wal'>,
  now: Date,
  signal: AbortSignal,
): Promise<void> {
  const key = `${prefix}${markerKey(label)}`;
  const marker: Marker = {
    schema: 'dbkit.copy-expired/v1',
    label,
    expiredAt: now.toISOString(),
    manifest: manifest.key,
    packs: packs.map(([pack]) => pack),
    ...(wal === undefined ? {} : { wal }),
  };
  await store.remove(key, signal); // Of a run that was killed here, or of an earlier life of the backup: the week begins now.
  await store.put(key, Buffer.from(`${JSON.stringify(marker)}\n`), signal).catch((cause: unknown) => {
    if (!(cause instanceof DbkitError && cause.code === 'file.exists')) throw cause; // Another machine has just done the same.
  });
}

/** Those whose summary is gone. A marker that cannot be read keeps everything: nothing is removed on a guess. */
async function markersOf({ store, prefix }: Place, kept: readonly CopySummary[], signal: AbortSignal): Promise<Marker[]> {
  const markers: Marker[] = [];
  for (const { key } of await store.list(`${prefix}expired/`, signal)) {
    const bytes = await store.get(key, signal);
    if (bytes === undefined) continue;
    const parsed = v.safeParse(markerSchema, parseJson(bytes, key));
    if (!parsed.success || key !== `${prefix}${markerKey(parsed.output.label)}`)
      throw new DbkitError('data.corrupt', `${key} in ${store.place} is no note of an expired backup`, {
        hint: 'nothing was removed there; find out who else writes to that place',
      });
    if (!kept.some(({ label }) => label === parsed.output.label)) markers.push(parsed.output);
  }
  return markers;
}

/** Packs first and the marker last, so that a kill leaves nothing that no run would find. */
async function sweepOne(
  { store, prefix }: Place,
  { label, manifest, packs }: Marker,
  needed: ReadonlySet<string>,
  { dryRun }: { readonly dryRun: boolean },
  signal: AbortSignal,
): Promise<number> {
  const keys = [...[...packs, manifest].filter((key) => !needed.has(key)), markerKey(label)];
  if (!dryRun) for (const key of keys) await store.remove(`${prefix}${key}`, signal);
  return keys.length;
}
