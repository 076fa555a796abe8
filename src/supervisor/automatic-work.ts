import { join } from 'node:path';
import type { DrillKind } from '../config/schedules.ts';
import { withAny } from '../kernel/deadline.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Child, SpawnChild } from '../kernel/machine.ts';
import { keepSchedule, type ScheduledJob, type ScheduleNeeds } from './schedule/keep-schedule.ts';
import { sendWalElsewhere } from './send-wal.ts';
import type { Service } from './service.ts';
import { isServerUp, startBackup } from './start-backup.ts';

type Needs = ScheduleNeeds &
  Parameters<typeof startBackup>[0] & { readonly spawn: SpawnChild; readonly services: readonly Pick<Service, 'backupWanted'>[] };

/** How this very program is started again for what nobody has asked for. */
export interface AutomaticCommands {
  readonly backup: readonly string[];
  drill(kind: DrillKind): readonly string[];
  /** Sends WAL to that copy for as long as it lives. */
  sendWal(copy: string): readonly string[];
}

/** Backups and drills that the supervisor begins by itself. They are processes of their own, one after the other. */
export interface AutomaticWork {
  /** Ends the one that is under way; what it has copied so far is removed by the next one. Resolves when nothing more is begun. */
  end(): Promise<void>;
}

const PATIENCE_MS = 6 * 3_600_000;
const INTERRUPTED = 143;

/** A backup after the start, those that a gap in the WAL or much of it wants, and what the schedule says, until `signal` fires. */
export async function beginAutomaticWork(app: Needs, commands: AutomaticCommands, signal: AbortSignal): Promise<AutomaticWork> {
  let current: Child | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  /** True when it has come to a good end. */
  const afterTheOthers = (begin: () => Promise<Child | undefined>): Promise<boolean> => {
    const mine = turn.then(async () => {
      if (signal.aborted) return false;
      current = await begin();
      if (current === undefined) return false;
      if (signal.aborted) current.kill('SIGTERM');
      return endsWell(app, current, signal);
    });
    turn = mine.catch(() => undefined);
    return mine;
  };
  const first = await startBackup(app, commands.backup);
  if (first !== undefined) void afterTheOthers(async () => first);
  current = first;
  const jobs: ScheduledJob[] = [
    { name: 'backup', isRepeated: true, run: () => afterTheOthers(() => startBackup(app, commands.backup, { isScheduled: true })) },
    { name: 'drill', isRepeated: false, run: () => everyDrill(app, commands, afterTheOthers) },
  ];
  const loops = [
    backUpOnWish(app, () => afterTheOthers(() => startBackup(app, commands.backup)), signal),
    keepSchedule(app, jobs, () => isServerUp(app), signal),
    sendWalElsewhere(app, commands.sendWal, signal),
  ];
  return {
    async end() {
      await Promise.all(loops);
      current?.kill('SIGTERM');
    },
  };
}

async function endsWell({ clock }: Needs, child: Child, signal: AbortSignal): Promise<boolean> {
  const end = await withAny([signal], (either) => Promise.race([child.exited, clock.sleep(PATIENCE_MS, either).catch(() => undefined)]));
  return end?.code === 0;
}

/** A gap in the WAL, or much of it, wants a base backup. */
async function backUpOnWish(app: Needs, backUp: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  const [service] = app.services.filter(({ backupWanted }) => backupWanted !== undefined);
  while (service?.backupWanted && !signal.aborted) {
    const reason = await service.backupWanted(signal).catch(() => undefined);
    if (reason === undefined) return;
    app.log.info(
      'backup.wanted',
      `a base backup is taken now: ${reason === 'gap' ? 'WAL is missing before now' : 'much WAL has gathered'}`,
    );
    await backUp().catch(() => false);
  }
}

/** All kinds, whatever becomes of one of them. */
async function everyDrill(
  app: Needs,
  commands: AutomaticCommands,
  afterTheOthers: (begin: () => Promise<Child | undefined>) => Promise<boolean>,
): Promise<boolean> {
  let all = true;
  for (const kind of app.config.drill.kinds) {
    const done = await afterTheOthers(() => startDrill(app, kind, commands.drill(kind)));
    all &&= done;
  }
  return all;
}

async function startDrill(app: Needs, kind: DrillKind, [file = 'dbkit', ...args]: readonly string[]): Promise<Child | undefined> {
  const output = { appendTo: join(app.config.logDir, 'dbkit.log') };
  try {
    const child = await app.spawn({ file, args, env: app.commandEnvironment, output, newSession: true });
    void child.exited.then(({ code, signal }) => {
      if (code !== 0 && code !== INTERRUPTED && signal === null)
        app.log.warn('drill.failed', `the scheduled drill ${kind} did not pass: \`dbkit drill history\` and ${output.appendTo} say why`);
    });
    return child;
  } catch (cause) {
    app.log.warn('drill.failed', `the scheduled drill ${kind} could not be started: ${wordsOf(cause)}`);
    return undefined;
  }
}
