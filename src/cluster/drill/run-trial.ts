import { join } from 'node:path';
import { wordsOf } from '../../kernel/errors.ts';
import { type ClusterFacts, effectiveTtlSeconds } from '../facts.ts';
import { cutOff } from '../local/networks.ts';
import { type Starting, startMember } from '../local/start.ts';
import type { LocalNeeds } from '../local/up.ts';
import { look, reach } from '../look.ts';
import { memberNamed } from '../members.ts';
import { askToMove } from '../patroni.ts';
import { until } from '../proof.ts';
import { checkCluster } from '../report.ts';
import { switchover } from '../switchover.ts';
import type { Drill, DrillName } from './drills.ts';
import type { Trial } from './evidence.ts';
import { faults, type Victim } from './faults.ts';
import { type Measured, missesOf } from './misses.ts';
import { longestGapMs } from './overlap.ts';
import { watchWritable } from './writable-watch.ts';
import { type Endpoint, openAt, startWriters, TABLE, type Writers } from './writers.ts';

const LIMITS = { writeMs: 60_000, resumeMs: 180_000, redundantMs: 300_000 };
/** So many commits at every address, one after the other, are no accident. */
const STEADY_ROWS = 20;

/** One disaster on a cluster that is well. Rejects where commits do not come back at all. */
export async function runTrial(
  needs: LocalNeeds,
  drill: Drill & { readonly id: DrillName },
  starting: Starting,
  signal: AbortSignal,
): Promise<Trial> {
  const { clock, config, log } = needs;
  await until(
    'the cluster is well',
    { timeoutMs: LIMITS.redundantMs, clock, signal },
    async (bounded) => (await checkCluster(needs, bounded)).status === 'ok',
  );
  const before = await look(needs, signal, await reach(needs));
  const endpoints = endpointsOf(starting, drill);
  await makeTable(endpoints[0]!, needs, signal);
  const login = config.postgresql;
  const watch = watchWritable(
    starting.plan.members.map(({ server }) => server),
    login,
    clock,
  );
  const writers = await startWriters(endpoints, { login, clock, ledger: join(starting.folder, 'ledger'), patienceMs: patienceOf(drill) });
  const patience = (timeoutMs: number) => ({ timeoutMs, clock, signal });
  try {
    await until('commits are acknowledged', patience(LIMITS.writeMs), steady(writers, endpoints));
    const errorsBefore = writers.errors();
    const at = clock.now().toISOString();
    const begunMs = clock.monotonicMs();
    const mend = await faults[drill.id](victimOf(needs, before, starting, signal), signal);
    const isBack = steady(writers, endpoints);
    await until('commits are acknowledged again', patience(LIMITS.resumeMs), isBack);
    await mend();
    const redundantSeconds = await untilRedundant(needs, begunMs, signal);
    await until('commits are acknowledged', patience(LIMITS.writeMs), steady(writers, endpoints));
    const endMs = clock.monotonicMs();
    await writers.stop();
    await watch.stop();
    const after = await look(needs, signal, await reach(needs));
    const measured: Measured = {
      rtoSeconds: Object.fromEntries(endpoints.map(({ name }) => [name, tenths(longestGapMs(writers.acksMs(name), begunMs, endMs))])),
      ackedRows: writers.acked().length,
      lostRows: await lostRows(endpoints[0]!, writers, needs, signal),
      errors: writers.errors() - errorsBefore,
      twoWritableSeconds: tenths(watch.twoWritableMs()),
      redundantSeconds,
    };
    return trialOf(drill, { at, measured, before, after, starting });
  } catch (cause) {
    log.warn('ha.drill', `the drill did not come to its end: ${wordsOf(cause)}`);
    throw cause;
  } finally {
    await writers.stop().catch(() => undefined);
    await watch.stop();
  }
}

const tenths = (ms: number): number => Math.round(ms / 100) / 10;

/** Clients that PgBouncer holds back wait, as applications do; after a disaster they would rather try again. */
const patienceOf = ({ targets }: Drill): number => (targets.errors === null ? 3_000 : 60_000);

/** A switchover is for clients of PgBouncer, which holds them back meanwhile. */
function endpointsOf({ plan }: Starting, { id }: Pick<Drill, 'id'>): readonly Endpoint[] {
  const pooler = { name: 'pooler', place: plan.pooler };
  return id === 'switchover-under-load' ? [pooler] : [{ name: 'write', place: plan.writes }, pooler];
}

async function makeTable({ place }: Endpoint, { config }: LocalNeeds, signal: AbortSignal): Promise<void> {
  const session = await openAt(place, config.postgresql, signal);
  try {
    await session.query(`drop table if exists ${TABLE}`);
    await session.query(`create table ${TABLE} (writer int, row bigint, primary key (writer, row))`);
  } finally {
    await session.end();
  }
}

function steady(writers: Writers, endpoints: readonly Endpoint[]): () => Promise<boolean> {
  const from = new Map(endpoints.map(({ name }) => [name, writers.acksMs(name).length]));
  return async () => endpoints.every(({ name }) => writers.acksMs(name).length - from.get(name)! >= STEADY_ROWS);
}

function victimOf(needs: LocalNeeds, facts: ClusterFacts, starting: Starting, signal: AbortSignal): Victim {
  return {
    folder: starting.folder,
    files: needs.files,
    clock: needs.clock,
    ttlSeconds: effectiveTtlSeconds(facts),
    leader: facts.leader!,
    synchronous: facts.members.find(({ role }) => role === 'synchronous')?.name,
    members: facts.members.map(({ name }) => name),
    unguarded: starting.state.unguarded ?? false,
    startMember: (name) => startMember(needs, starting, name),
    cutOff: (name, isCut) => cutOff(needs, starting.state, { name, isCut }, signal),
    switchover: (bounded) =>
      starting.state.unguarded ? switchAlone(needs, facts.leader!, bounded) : switchover(needs, { to: undefined, pause: true }, bounded),
  };
}

/** As whoever has Patroni alone does it. */
async function switchAlone(needs: LocalNeeds, leader: string, signal: AbortSignal): Promise<void> {
  const { ask, members } = await reach(needs);
  await askToMove(ask, memberNamed(members, leader), '/switchover', { leader }, signal);
}

async function untilRedundant(needs: LocalNeeds, begunMs: number, signal: AbortSignal): Promise<number | null> {
  const { clock, log } = needs;
  let wrong = '';
  const isWhole = async (bounded: AbortSignal): Promise<boolean> => {
    const { status, findings } = await checkCluster(needs, bounded);
    wrong = findings.map(({ member, words }) => `${member === null ? '' : `${member}: `}${words}`).join('; ');
    return status === 'ok';
  };
  return until('every member is back', { timeoutMs: LIMITS.redundantMs, clock, signal }, isWhole).then(
    () => tenths(clock.monotonicMs() - begunMs),
    () => {
      signal.throwIfAborted();
      log.warn('ha.drill', `not every member is back: ${wrong}`);
      return null;
    },
  );
}

/** Rows of the ledger that the leader does not have. */
async function lostRows({ place }: Endpoint, writers: Writers, { config }: LocalNeeds, signal: AbortSignal): Promise<number> {
  const session = await openAt(place, config.postgresql, signal);
  try {
    const rows = await session.query<{ writer: number; row: string }>(`select writer, row::text as row from ${TABLE}`);
    const there = new Set(rows.map(({ writer, row }) => `${writer} ${row}`));
    return writers.acked().filter(({ writer, row }) => !there.has(`${writer} ${row}`)).length;
  } finally {
    await session.end();
  }
}

interface Ended {
  readonly at: string;
  readonly measured: Measured;
  readonly before: ClusterFacts;
  readonly after: ClusterFacts;
  readonly starting: Starting;
}

function trialOf({ id, targets }: Drill, { at, measured, before, after, starting }: Ended): Trial {
  const misses = missesOf(measured, targets);
  return {
    schema: 'dbkit.ha-trial/v1',
    drill: id,
    at,
    passed: misses.length === 0,
    patroniVersion: starting.programs.patroniVersion,
    ttlSeconds: effectiveTtlSeconds(before),
    synchronous: before.settings?.isSynchronous ?? false,
    guarded: starting.state.unguarded !== true,
    ...measured,
    leaderBefore: before.leader!,
    leaderAfter: after.leader,
    targets,
    misses: [...misses],
  };
}
