import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { Files, Identity, Locks, SpawnChild } from '../../kernel/machine.ts';
import { fill } from '../../kernel/reasons.ts';
import { type ClusterFacts, effectiveTtlSeconds, leaderOf } from '../facts.ts';
import { look, reach } from '../look.ts';
import { placeOf } from '../members.ts';
import { until } from '../proof.ts';
import { checkCluster } from '../report.ts';
import { switchover } from '../switchover.ts';
import type { DrillName } from './drills.ts';
import { keepTrial, type Trial } from './evidence.ts';
import { hereFaults, type VictimHere } from './here-faults.ts';
import { type HereFacts, hereRefusals } from './here-rows.ts';
import { findLeaderHere, type HereNeeds } from './leader-here.ts';
import { type Mend, measure } from './measure.ts';
import { type DrillReport, knownDrill } from './run-drill.ts';
import { type Ground, groundAt, makeTable, removeTable } from './table.ts';
import { takeTurn } from './turn.ts';
import type { Endpoint } from './writers.ts';

interface Needs extends HereNeeds {
  readonly files: Files;
  readonly locks: Locks;
  readonly spawn: SpawnChild;
  readonly instance: { owner(): Promise<Identity> };
}

export interface HereWish {
  readonly name: string;
  readonly acceptLoss: boolean;
}

/** The disaster that would come over the real cluster. */
export interface HerePlan {
  readonly drill: DrillName;
  readonly words: string;
  readonly scope: string | null;
  readonly leader: string;
}

const REMOVE_MS = 60_000;
const nothing: Mend = async () => undefined;
const unasked: Ground = { schema: 'none', isPublished: false };

/**
 * Rehearses a disaster on the real cluster, once, after a question, and measures it; the table that is written to is the drill's own, and is
 * removed. Refused (`recovery.refused`) where the cluster is not whole, and for what could not be undone; rejects with `prompt.refused` without
 * an answer, and with `lock.held` beside another drill of this machine. A process that was harmed is mended in every case.
 */
export async function drillHere(
  needs: Needs,
  { name, acceptLoss }: HereWish,
  confirm: (plan: HerePlan) => Promise<boolean>,
  signal: AbortSignal,
): Promise<DrillReport> {
  const drill = knownDrill(name);
  const { config, files } = needs;
  const owner = await needs.instance.owner();
  await files.makeDirectory(config.stateDir, { mode: 0o700, owner });
  const lock = await needs.locks.acquire(join(config.stateDir, 'ha-drill.lock'), `dbkit ha drill ${drill.id} --here`, owner);
  try {
    const facts = await factsFor(needs, drill.id, acceptLoss, signal);
    refuseHere(facts);
    const { scope, leader } = facts.cluster;
    if (!(await confirm({ drill: drill.id, words: drill.words, scope, leader: leader! })))
      throw new DbkitError('prompt.refused', 'nothing was changed: the answer was no');
    const now = await factsFor(needs, drill.id, acceptLoss, signal); // The answer may have taken long.
    refuseHere(now);
    const trial = await inTurn(needs, now, signal, () => rehearse(needs, drill, now, signal));
    const evidence = await keepTrial(config, needs, trial);
    return { drill: drill.id, trials: [trial], passed: trial.passed, evidence: [evidence], folder: null };
  } finally {
    await lock.release();
  }
}

/** Two drills that were typed on two machines may both have found the cluster free: one of them gets the lock, and the other is refused. */
async function inTurn<T>({ config, clock }: Needs, facts: HereFacts, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const [endpoint] = endpointsOf(config);
  const turn = await takeTurn({ endpoint: endpoint!, login: config.postgresql, clock }, signal);
  try {
    refuseHere(turn === null ? { ...facts, schema: 'busy' } : facts);
    return await work();
  } finally {
    await turn?.release();
  }
}

/** Pure but for what it throws, with the id of the row: `dbkit explain` says more. */
function refuseHere(facts: HereFacts): void {
  const row = hereRefusals.find(({ when }) => when(facts));
  if (row === undefined) return;
  const { cluster, finding, drill } = facts;
  const words = {
    drill,
    leader: cluster.leader ?? 'nobody',
    host: leaderOf(cluster)?.server.host ?? 'unknown',
    finding: finding && `${finding.member === null ? '' : `${finding.member}: `}${finding.words} (${finding.id})`,
    plannedAt: cluster.scheduledSwitchover?.at,
  };
  throw new DbkitError(row.refusal.code, `${fill(row.words, words)} (${row.id})`, { hint: fill(row.refusal.hint, words) });
}

async function factsFor(needs: Needs, drill: DrillName, acceptLoss: boolean, signal: AbortSignal): Promise<HereFacts> {
  const cluster = await look(needs, signal, await reach(needs));
  const check = await checkCluster(needs, signal);
  const endpoints = endpointsOf(needs.config);
  const isWell = check.findings.length === 0 && check.status === 'ok';
  const [write] = endpoints;
  return {
    drill,
    cluster,
    finding: check.findings[0],
    addresses: endpoints.map(({ name }) => name),
    ...(isWell && write?.name === 'write' ? await groundAt(write, needs.config.postgresql, signal) : unasked),
    leaderHere: isWell ? await findLeaderHere(needs, cluster, signal) : null,
    acceptLoss,
  };
}

/** The write address first, where it is named. */
function endpointsOf({ ha: { writeAddress, pooler } }: Pick<Config, 'ha'>): readonly Endpoint[] {
  return [
    ...(writeAddress === undefined ? [] : [{ name: 'write' as const, place: placeOf(writeAddress) }]),
    ...(pooler === undefined ? [] : [{ name: 'pooler' as const, place: placeOf(pooler) }]),
  ];
}

/** Whatever happens, also at Ctrl-C, the processes are mended and the table is removed before it ends. */
async function rehearse(
  needs: Needs,
  drill: ReturnType<typeof knownDrill>,
  { cluster, leaderHere }: HereFacts,
  signal: AbortSignal,
): Promise<Trial> {
  const { config } = needs;
  const all = endpointsOf(config);
  // Clients of the write address see errors in a switchover; those of PgBouncer wait.
  const endpoints = drill.id === 'switchover-under-load' ? all.filter(({ name }) => name === 'pooler') : all;
  let undo: Mend = nothing;
  const harm = async (before: ClusterFacts, bounded: AbortSignal): Promise<Mend> => {
    undo = await hereFaults[drill.id]!(await victimOf(needs, drill.id, before, bounded), bounded);
    return nothing; // Its guard shall mend it, and is measured.
  };
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-drill-'));
  const guarded = leaderHere && leaderHere.guard !== null; // null: from elsewhere nobody sees it.
  const patroniVersion = cluster.members.flatMap(({ patroni }) => patroni?.version ?? [])[0] ?? 'unknown';
  try {
    await makeTable(all[0]!, config.postgresql, signal);
    const rest = { guarded, here: true, patroniVersion, ledger: join(folder, 'ledger') };
    return await measure(needs, { drill, endpoints, ...rest, harm }, signal);
  } finally {
    await undo();
    await removeRows(needs, all[0]!);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Found again: the lead may have moved since. */
async function victimOf(needs: Needs, drill: DrillName, before: ClusterFacts, signal: AbortSignal): Promise<VictimHere> {
  const leader = await findLeaderHere(needs, before, signal);
  if (drill !== 'switchover-under-load' && leader === null)
    throw new DbkitError('recovery.refused', 'another member leads since you were asked', {
      hint: 'look who leads: `dbkit ha status`; nothing was harmed',
    });
  return {
    clock: needs.clock,
    spawn: needs.spawn,
    log: needs.log,
    ttlSeconds: effectiveTtlSeconds(before),
    leader,
    switchover: (bounded) => switchover(needs, { to: undefined, pause: true }, bounded),
  };
}

/** By a signal of its own. Where nobody leads any more it stays, and the next drill removes it. */
async function removeRows({ config, clock, log }: Needs, endpoint: Endpoint): Promise<void> {
  const { signal } = new AbortController();
  let why = '';
  const remove = async (bounded: AbortSignal): Promise<boolean> => {
    try {
      await removeTable(endpoint, config.postgresql, bounded);
      return true;
    } catch (cause) {
      why = wordsOf(cause).split('\n')[0]!;
      return false;
    }
  };
  await until('the table of the drill is removed', { timeoutMs: REMOVE_MS, clock, signal }, remove).catch(() =>
    log.warn('ha.drill', `the schema dbkit_drill is still in the database postgres (${why}); the next drill removes it`),
  );
}
