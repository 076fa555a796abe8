import { type Backups, isGood } from '../../backups/backup.ts';
import type { Config } from '../../config/config.ts';
import { type JobName, nextRun, schedulesOf } from '../../config/schedules.ts';
import { isAbort, wordsOf } from '../../kernel/errors.ts';
import type { Clock, Files, Logger } from '../../kernel/machine.ts';
import { decideDue } from './due.ts';
import { type JobState, type Remembered, readSchedule, writeSchedule } from './memory.ts';

/** Something that the supervisor does at times of its own. */
export interface ScheduledJob {
  readonly name: JobName;
  /** A run that a kill has ended is begun again at once. */
  readonly isRepeated: boolean;
  /** Does it, to its end; false: it has failed. */
  run(): Promise<boolean>;
}

export interface ScheduleNeeds {
  readonly config: Config;
  readonly backups: readonly Backups[];
  readonly files: Pick<Files, 'readJson' | 'write'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The clock may be set and the machine may sleep: the time is looked at again this often at least. */
const LOOK_EVERY_MS = 60_000;
const WAITING_MS = 5_000;

/** Does each job when it is due, one after the other, until the signal fires. Never rejects: what ails one look does not end the schedule. */
export async function keepSchedule(
  app: ScheduleNeeds,
  jobs: readonly ScheduledJob[],
  isServerUp: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  let said = '';
  let jobStates: Remembered | undefined;
  while (!signal.aborted) {
    try {
      jobStates ??= await asLeft(app);
      for (const job of jobs) jobStates = await lookAt(app, job, jobStates, isServerUp, signal);
      said = '';
    } catch (cause) {
      if (isAbort(cause) && signal.aborted) return;
      const words = wordsOf(cause);
      if (words !== said) app.log.warn('schedule.failed', `the schedule could not be looked at, and is looked at again: ${words}`);
      said = words;
    }
    await app.clock.sleep(pauseMs(schedulesOf(app.config), jobStates, app.clock.now()), signal).catch(() => undefined);
  }
}

/** A run of which nobody has seen the end was ended by a kill. */
async function asLeft({ config, files }: ScheduleNeeds): Promise<Remembered> {
  const known = await readSchedule(config.stateDir, files);
  return Object.fromEntries(
    Object.entries(known).map(([name, state]) => [
      name,
      state.outcome === 'running' ? { ...state, outcome: 'interrupted' as const } : state,
    ]),
  );
}

async function lookAt(
  app: ScheduleNeeds,
  { name, isRepeated, run }: ScheduledJob,
  states: Remembered,
  isServerUp: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<Remembered> {
  const { config, clock, log } = app;
  const expression = schedulesOf(config)[name];
  const now = clock.now();
  const known = expression === null ? states[name] : notAhead(states[name], expression, now);
  const up = await isServerUp();
  const mayBeDue = up && known !== undefined && known.nextAt <= now.toISOString();
  const servedMs = mayBeDue && name === 'backup' ? await newestBackupMs(app, signal) : null;
  const row = decideDue({ expression, known, isRepeated, servedMs, isServerUp: up, nowMs: now.getTime() });
  if (row.then === 'wait' || expression === null) return { ...states, ...(known && { [name]: known }) };
  const keep = async (state: JobState): Promise<Remembered> => {
    const next = { ...states, [name]: state };
    await writeSchedule(config.stateDir, next, app.files);
    return next;
  };
  const state: JobState = {
    expression,
    nextAt: nextRun(expression, now).toISOString(),
    ranAt: known?.ranAt ?? null,
    outcome: known?.outcome ?? null,
  };
  if (row.then === 'set') return keep(state);
  log.info('schedule.due', `the scheduled ${name} begins: ${row.words}`, { job: name, reason: row.id, schedule: expression });
  const begun = { ...state, ranAt: now.toISOString() };
  await keep({ ...begun, outcome: 'running' }); // Before it acts: a kill is seen by the next run.
  const done = await run();
  return keep({ ...begun, outcome: signal.aborted ? 'interrupted' : done ? 'done' : 'failed' });
}

/** A moment further ahead than the next run was written before the clock was set back. */
function notAhead(known: JobState | undefined, expression: string, now: Date): JobState | undefined {
  if (known === undefined || known.expression !== expression) return known;
  const next = nextRun(expression, now).toISOString();
  return known.nextAt > next ? { ...known, nextAt: next } : known;
}

async function newestBackupMs({ backups }: ScheduleNeeds, signal: AbortSignal): Promise<number | null> {
  const base = backups.find(({ kind }) => kind === 'physical');
  const good = ((await base?.repository.list(signal)) ?? []).filter(isGood).map(({ createdAt }) => Date.parse(createdAt));
  return good.length === 0 ? null : Math.max(...good);
}

/** A job that is due by now waits for a server; one that is switched off waits for nothing. */
const pauseMs = (schedules: ReturnType<typeof schedulesOf>, states: Remembered = {}, now: Date): number => {
  const kept = Object.entries(states).filter(([name]) => schedules[name as JobName] !== null);
  const waits = kept.map(([, { nextAt }]) => Date.parse(nextAt) - now.getTime());
  return Math.min(LOOK_EVERY_MS, ...waits.map((waitMs) => (waitMs > 0 ? waitMs : WAITING_MS)));
};
