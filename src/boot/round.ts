import { readdir } from 'node:fs/promises';
import type { Inspection } from '../inspection/inspect.ts';
import { voidInventory } from '../inspection/inventory.ts';
import { awaitedDump } from '../instance/initialize/marker.ts';
import type { Local } from '../instance/local.ts';
import { openPrivateWay, type PrivateWay } from '../instance/server/private-server.ts';
import { type Launch, launch, signalStop } from '../instance/server/server.ts';
import { walKeepSetting } from '../instance/server/wal-keep.ts';
import { present } from '../instance/volume.ts';
import { errnoOf } from '../kernel/errors.ts';
import { parseLabel } from '../kernel/labels.ts';
import type { Clock } from '../kernel/machine.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { type DoorFacts, doorFor } from './door.ts';
import { ensurePatiently } from './ensure.ts';
import { fillFromDump } from './fill-from-dump.ts';
import type { Hold, PostgresqlOptions } from './hold.ts';
import { type Judgement, judge } from './judge.ts';
import { type BeforeStart, beforeStart, type Recovered } from './judge-recovery.ts';
import { archiveAsStandby, slotLimit } from './keep-archive.ts';
import { archiveToRest } from './keep-stanza.ts';
import { rememberSuspects } from './recheck.ts';

const IMMEDIATE_AFTER_S = 20;

/** The facts that the rounds before this one have shown. */
export interface Course {
  readonly isJudged: boolean;
  /** The server went away without a word that the triage table knows. */
  readonly isUnheard: boolean;
}

export interface Known {
  readonly before: Inspection;
  readonly tried: ReadonlySet<string>;
  readonly unproven: ReadonlySet<string>;
  /** Databases whose files are to be looked at once the server has been shut down in order. */
  readonly toLookAt: readonly string[];
  readonly course: Course;
  /** Hears at once how a server came up: whatever happens to it then, the next one does not recover from there. */
  cameUp(recovered: Recovered): void;
}

export interface Round {
  readonly launched: Launch;
  readonly judgement: Judgement;
  /** The application's role and database were made sure of behind the closed door. */
  readonly isEnsured: boolean;
  /** A dump was loaded into the new cluster. */
  readonly filled?: RecoveryReport | undefined;
}

/** One start with its verdict. After a good one behind a closed door the server is started again for everybody. */
export async function oneRound(
  hold: Hold,
  options: PostgresqlOptions,
  { before: seen, tried, unproven, toLookAt, course, cameUp }: Known,
  signal: AbortSignal,
): Promise<Round> {
  const { local, lock } = hold;
  const { system, volume } = local;
  const [facts, ...settings] = await Promise.all([
    doorFacts(local, seen, course.isJudged),
    walKeepSetting(local, options.config.recovery.walKeep),
    slotLimit(local, options.config),
    archiveAsStandby(local, options.config),
    archiveToRest(local, options),
  ]);
  const overrides: Readonly<Record<string, string>> = Object.assign({}, ...settings);
  const control = beforeStart(local);
  const before = facts.isNew ? sinceMade(seen, control) : seen;
  const door = course.isUnheard || toLookAt.length > 0 ? 'closed' : doorFor(facts).then;
  const begin = async (way?: PrivateWay): Promise<Launch> => {
    await rememberSuspects(local, before);
    await voidInventory(system, local.stateDir);
    system.reached('server.voided-inventory');
    const all = { ...overrides, ...way?.settings };
    const launched = await launch(local, { dataDir: volume.dataDir, privateSocketDir: way?.socketDir, lock, overrides: all }, signal);
    if (launched.kind === 'serving' && (door === 'open' || way))
      // The one that is started for everybody then has nothing to recover.
      cameUp({ before: control, seen: before, standby: launched.standby, wentOn: beforeStart(local).control });
    return launched;
  };
  const judged = async (launched: Launch, way?: PrivateWay): Promise<Judgement> => {
    try {
      return await judge(hold, options, { launched, before, tried, unproven, toLookAt, socketDir: way?.socketDir }, signal);
    } catch (cause) {
      await down(launched, system.clock); // A refusal does not leave it running.
      throw cause;
    }
  };
  if (door === 'open') {
    const launched = await begin();
    return { launched, judgement: await judged(launched), isEnsured: false };
  }
  const way = await openPrivateWay(local);
  try {
    const behind = await begin(way);
    const judgement = await judged(behind, way);
    if (behind.kind !== 'serving' || !isGood(judgement)) return { launched: behind, judgement, isEnsured: false };
    let filled: RecoveryReport | undefined;
    try {
      await ensurePatiently(local, { isNew: facts.isNew, socketDir: way.socketDir }, signal);
      filled = await fillFromDump(local, { backups: options.backups, socketDir: way.socketDir }, signal);
    } finally {
      await down(behind, system.clock);
    }
    const launched = await begin();
    return { launched, judgement: launched.kind === 'serving' ? judgement : await judged(launched), isEnsured: true, filled };
  } finally {
    await way.close();
  }
}

/** A cluster that was made since the directory was looked at: while no server has run on it but that of initdb, there is nothing to be proven. */
const sinceMade = (seen: Inspection, { control }: BeforeStart): Inspection =>
  seen.control === undefined && control?.state === 'shut down' ? { ...seen, cleanShutdown: true } : seen;

/** The server may serve. */
export const isGood = ({ plan, unasked, isGone }: Judgement): boolean =>
  !isGone && unasked.length === 0 && (plan === undefined || plan.decision === 'start');

async function doorFacts({ volume, backupDir, system }: Local, { report, saw }: Inspection, isJudged: boolean): Promise<DoorFacts> {
  const isProven = report.clean && report.inventory === 'match';
  const isSound = report.clean && report.findings.length === 0;
  return {
    isJudged,
    awaitsDump: (await awaitedDump(volume, system))?.isLoaded === false,
    isNew: await present(volume.initializing),
    isStandby: saw('standby.signal'),
    isProven,
    isSound,
    hasBackup: !isProven && isSound && (await hasBaseBackup(backupDir)),
  };
}

/** By its label alone: no record is read for a start that needs none. A repository that cannot be listed may hold one. */
const hasBaseBackup = async (backupDir: string): Promise<boolean> =>
  readdir(backupDir).then(
    (names) => names.some((name) => parseLabel(name)?.kind === 'data'),
    (cause: unknown) => errnoOf(cause) !== 'ENOENT',
  );

/** Ends a server that is not to serve. */
export async function down(launched: Launch, clock: Clock): Promise<void> {
  if (launched.kind === 'exited') return;
  const { child } = launched;
  let gone = false;
  const exited = child.exited.then(() => {
    gone = true;
  });
  for (let second = 0; !gone; second += 1) {
    signalStop(child, second < IMMEDIATE_AFTER_S ? 'fast' : 'immediate'); // A server that is restarting after a crash may miss the first.
    await Promise.race([exited, clock.sleep(1_000, new AbortController().signal)]);
  }
}
