import type { Alerter } from '../alerts/contract.ts';
import { historyOf } from '../cluster/history.ts';
import { type ClusterNeeds, reach } from '../cluster/look.ts';
import { type Judged, judgedBy, type Tier, tiers } from '../config/tiers.ts';
import { within } from '../kernel/deadline.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Sample } from '../monitor/measurements.ts';
import { type MonitorReport, reportMonitor } from '../monitor/pause.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import { incidentOf } from '../recovery/incident-report.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { examineTonight } from '../supervisor/doctor/doctor.ts';
import { type PreventFacts, type Prevention, preventionsOf } from './prevent.ts';
import { type Entry, entriesOf, type Memories, type Story, startOf, storiesOf, storySince } from './story.ts';

/** An incident, told afterwards: JSON of `dbkit report incident`; fields are only ever added. */
export interface StoryReport {
  /** Its number, 1 is the newest; null for everything since a moment. */
  readonly number: number | null;
  readonly beganAt: string;
  readonly endedAt: string | null;
  readonly durationSeconds: number;
  readonly timeline: readonly Pick<Entry, 'at' | 'source' | 'words'>[];
  readonly impact: {
    readonly recoveries: number;
    readonly leaderChanges: number;
    /** Of what was recovered; null: nothing had to be. */
    readonly lost: 'nothing' | 'unknown' | 'something' | null;
    /** Health checks that the monitor kept, at most one for five minutes, and those among them that were critical. */
    readonly samples: number;
    readonly criticalSamples: number;
  };
  readonly tier: Tier | null;
  /** Of the longest recovery; without one, from the first alert to its end. */
  readonly rto: Judged;
  /** Of the largest loss; null where nothing was recovered, or nobody can tell. */
  readonly rpo: Judged;
  readonly prevent: readonly Prevention[];
}

export interface StoryList {
  readonly incidents: readonly {
    readonly number: number;
    readonly beganAt: string;
    readonly endedAt: string | null;
    readonly first: string;
    readonly entries: number;
  }[];
}

type Needs = Parameters<typeof examineTonight>[0] &
  ClusterNeeds & {
    readonly alerts: Pick<Alerter, 'history' | 'channels'>;
    readonly history: RecoveryHistory;
  };

const LIMITS = { clusterMs: 4_000, doctorMs: 15_000 };
const WEEK_MS = 7 * 86_400_000;

/** Rejects with `usage.invalid` where there is no incident of that number. */
export async function storyReport(
  app: Needs,
  wish: { readonly number: number; readonly since: Date | undefined },
  signal: AbortSignal,
): Promise<StoryReport> {
  const { memories, watch, samples } = await remember(app, signal);
  const entries = entriesOf(memories);
  const stories = storiesOf(entries);
  const story = wish.since === undefined ? stories[wish.number - 1] : storySince(entries, wish.since);
  if (story === undefined)
    throw new DbkitError('usage.invalid', stories.length === 0 ? 'no incident is remembered here' : `there is no incident ${wish.number}`, {
      hint: '`dbkit report incident --list` lists them; `--since "2026-01-13 10:00"` reports everything since then',
    });
  const tonight = await within([signal], LIMITS.doctorMs, (bounded) => examineTonight(app, bounded)).catch((cause: unknown) => {
    signal.throwIfAborted();
    app.log.warn('report.doctor', `what would fail tonight is not known: ${String(cause)}`);
    return undefined;
  });
  const report = judged(story, {
    number: wish.since === undefined ? wish.number : null,
    recoveries: memories.recoveries,
    samples,
    watch,
    channels: app.alerts.channels.length,
    tier: app.config.tier,
    now: app.clock.now(),
    stories,
  });
  const standing = (tonight?.complaints ?? []).filter(({ id }) => id !== 'tonight-nobody-is-told' && id !== 'tonight-given-up');
  return { ...report, prevent: [...report.prevent, ...standing.map(({ id, words, next }) => ({ id, words, next }))] };
}

/** Every incident that is remembered, newest first. */
export async function listStories(app: Needs, signal: AbortSignal): Promise<StoryList> {
  const stories = storiesOf(entriesOf((await remember(app, signal)).memories));
  return {
    incidents: stories.map(({ beganAt, endedAt, entries }, index) => ({
      number: index + 1,
      beganAt,
      endedAt,
      first: (entries.find(({ isTrouble }) => isTrouble) ?? entries[0])!.words,
      entries: entries.length,
    })),
  };
}

async function remember(
  app: Needs,
  signal: AbortSignal,
): Promise<{ readonly memories: Memories; readonly watch: MonitorReport; readonly samples: readonly Sample[] }> {
  const [alerts, recoveries, watch, samples, changes] = await Promise.all([
    app.alerts.history(),
    app.history.all(),
    reportMonitor(app),
    app.memory.samples(),
    Object.keys(app.config.ha.members).length === 0
      ? []
      : within([signal], LIMITS.clusterMs, async (bounded) => (await historyOf(await reach(app), bounded)) ?? []).catch(() => {
          signal.throwIfAborted();
          return [];
        }),
  ]);
  return { memories: { alerts, recoveries, changes, events: watch.events }, watch, samples };
}

export interface Judging {
  readonly number: number | null;
  readonly recoveries: readonly RecoveryReport[];
  readonly samples: readonly Sample[];
  readonly watch: MonitorReport;
  readonly channels: number;
  readonly tier: Tier | undefined;
  readonly now: Date;
  readonly stories: readonly Story[];
}

/** Pure. */
export function judged(story: Story, { number, recoveries, samples, watch, channels, tier, now, stories }: Judging): StoryReport {
  const { beganAt, endedAt, entries } = story;
  const [fromMs, toMs] = [Date.parse(beganAt), endedAt === null ? now.getTime() : Date.parse(endedAt)];
  const isInside = (at: string): boolean => Date.parse(at) >= fromMs && Date.parse(at) <= toMs;
  const own = recoveries.filter((one) => !one.serving && isInside(startOf(one))).map((one) => incidentOf(one, 0, tier));
  const measured = samples.filter(({ at }) => isInside(at));
  const durationSeconds = Math.max(0, Math.round((toMs - fromMs) / 1000));
  const target = tier === undefined ? undefined : tiers[tier];
  const longest = (figures: readonly (number | null)[]): number | null =>
    figures.length === 0 || figures.includes(null) ? null : Math.max(...figures.map((figure) => figure ?? 0));
  const rtoSeconds = own.length > 0 ? longest(own.map(({ rto }) => rto.seconds)) : endedAt === null ? null : durationSeconds;
  const rto = judgedBy(rtoSeconds, target?.rtoSeconds ?? null);
  const rpo = judgedBy(longest(own.map((one) => one.rpo.seconds)), target?.rpoSeconds ?? null);
  const losses = own.map(({ lost }) => lost);
  const lost = (['something', 'unknown', 'nothing'] as const).find((kind) => losses.includes(kind)) ?? null;
  const facts: PreventFacts = {
    channels,
    isWatched: watch.checkedAt !== null,
    alertedAfterSeconds: alertedAfter(entries),
    rto,
    rpo,
    lost,
    hasTier: tier !== undefined,
    incidentsThisWeek: stories.filter((one) => now.getTime() - Date.parse(one.beganAt) < WEEK_MS).length,
    hasGivenUp: watch.state.gaveUp,
  };
  return {
    number,
    beganAt,
    endedAt,
    durationSeconds,
    timeline: entries.map(({ at, source, words }) => ({ at, source, words })),
    impact: {
      recoveries: own.length,
      leaderChanges: entries.filter(({ source }) => source === 'cluster').length,
      lost,
      samples: measured.length,
      criticalSamples: measured.filter(({ status }) => status === 'critical').length,
    },
    tier: tier ?? null,
    rto,
    rpo,
    prevent: preventionsOf(facts),
  };
}

function alertedAfter(entries: readonly Entry[]): number | null {
  const alerted = entries.find(({ source, isTrouble }) => source === 'alert' && isTrouble);
  const sign = entries[0];
  return alerted === undefined || sign === undefined
    ? null
    : Math.max(0, Math.round((Date.parse(alerted.at) - Date.parse(sign.at)) / 1000));
}
