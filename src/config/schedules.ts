import { Cron } from 'croner';
import * as v from 'valibot';
import type { Config } from './config.ts';
import { tiers } from './tiers.ts';

/** Disasters that can be rehearsed on a copy. */
export const drillKinds = ['corruption', 'table-loss', 'total-loss', 'remote-region'] as const;
export type DrillKind = (typeof drillKinds)[number];

/** In UTC: a daylight saving time would have days with two runs, and with none. No function is given, so no timer runs. */
const parsed = (expression: string): Cron => new Cron(expression, { utcOffset: 0, paused: true, mode: '5-part' });

function isSchedule(text: string): boolean {
  try {
    return text === 'off' || parsed(text).nextRun() !== null;
  } catch {
    return false;
  }
}

/** A cron expression of five fields, as crontab(5) has them, or 'off'. */
export const scheduleSetting = v.pipe(
  v.string(),
  v.check(isSchedule, "expected five fields like '0 2 * * *' (minute, hour, day, month, weekday; in UTC) that some day comes, or 'off'"),
);

/** The first run after `from`; one that the schema has let through always has one. */
export const nextRun = (expression: string, from: Date): Date => parsed(expression).nextRun(from)!;

type Scheduled = Pick<Config, 'tier'> & {
  readonly backup: Pick<Config['backup'], 'afterStart' | 'schedule'>;
  readonly drill: Pick<Config['drill'], 'schedule'>;
};

export type JobName = 'backup' | 'drill';

/**
 * When the supervisor does what; null: never. Where it takes no backup after a start either, somebody else takes them, so only a schedule that is
 * written down counts. On a member of a cluster each asks whose turn it is.
 */
export function schedulesOf({ backup, drill, tier = 'standard' }: Scheduled): Readonly<Record<JobName, string | null>> {
  const { schedule = backup.afterStart ? tiers[tier].backupSchedule : 'off' } = backup;
  return { backup: orNever(schedule), drill: orNever(drill.schedule ?? 'off') };
}

const orNever = (schedule: string): string | null => (schedule === 'off' ? null : schedule);
