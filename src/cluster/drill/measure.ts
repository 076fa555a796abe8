import { wordsOf } from '../../kernel/errors.ts';
import { type ClusterFacts, effectiveTtlSeconds } from '../facts.ts';
import { type ClusterNeeds, look, reach } from '../look.ts';
import { until } from '../proof.ts';
import { checkCluster } from '../report.ts';
import type { Drill } from './drills.ts';
import type { Trial } from './evidence.ts';
import { type Measured, missesOf } from './misses.ts';
import { longestGapMs } from './overlap.ts';
import { watchWritable } from './writable-watch.ts';
import { type Endpoint, openAt, startWriters, TABLE, type Writers } from './writers.ts';

/** Mends the disaster, once commits are acknowledged again. */
export type Mend = () => Promise<void>;

/** One disaster and what it is measured with. */
export interface Rehearsal {
  readonly drill: Drill;
  /** The first one must lead to the leader. */
  readonly endpoints: readonly Endpoint[];
  /** Of the rows that were acknowledged. */
  readonly ledger: string;
  readonly patroniVersion: string;
  /** false: Patroni alone; null: nobody knows. */
  readonly guarded: boolean | null;
  /** On the real cluster. */
  readonly here: boolean;
  /** Brings the disaster about. Resolves when it is there, or over where it ends by itself. */
  readonly harm: (before: ClusterFacts, signal: AbortSignal) => Promise<Mend>;
}

const LIMITS = { writeMs: 60_000, resumeMs: 180_000, redundantMs: 300_000 };
/** So many commits at every address, one after the other, are no accident. */
const STEADY_ROWS = 20;

/** A cluster that may still come up is waited for, five minutes at most. */
export const untilWell = (needs: ClusterNeeds, signal: AbortSignal): Promise<void> =>
  until(
    'the cluster is well',
    { timeoutMs: LIMITS.redundantMs, clock: needs.clock, signal },
    async (bounded) => (await checkCluster(needs, bounded)).status === 'ok',
  );

/** One disaster on a cluster that is well and has an empty table of the drill's. Rejects where commits do not come back at all. */
export async function measure(needs: ClusterNeeds, rehearsal: Rehearsal, signal: AbortSignal): Promise<Trial> {
  const { clock, config, log } = needs;
  const { drill, endpoints, ledger } = rehearsal;
  const before = await look(needs, signal, await reach(needs));
  const login = config.postgresql;
  const watch = watchWritable(
    before.members.map(({ server }) => server),
    login,
    clock,
  );
  const writers = await startWriters(endpoints, { login, clock, ledger, patienceMs: patienceOf(drill) });
  const patience = (timeoutMs: number) => ({ timeoutMs, clock, signal });
  try {
    await until('commits are acknowledged', patience(LIMITS.writeMs), steady(writers, endpoints));
    const errorsBefore = writers.errors();
    const at = clock.now().toISOString();
    const begunMs = clock.monotonicMs();
    const mend = await rehearsal.harm(before, signal);
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
    return trialOf(rehearsal, { at, measured, before, after });
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

function steady(writers: Writers, endpoints: readonly Endpoint[]): () => Promise<boolean> {
  const from = new Map(endpoints.map(({ name }) => [name, writers.acksMs(name).length]));
  return async () => endpoints.every(({ name }) => writers.acksMs(name).length - from.get(name)! >= STEADY_ROWS);
}

async function untilRedundant(needs: ClusterNeeds, begunMs: number, signal: AbortSignal): Promise<number | null> {
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
async function lostRows(endpoint: Endpoint, writers: Writers, { config }: ClusterNeeds, signal: AbortSignal): Promise<number> {
  const session = await openAt(endpoint, config.postgresql, signal);
  try {
    const rows = await session.query<{ writer: number; row: string }>(`select writer, row from ${TABLE}`);
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
}

function trialOf({ drill: { id, targets }, patroniVersion, guarded, here }: Rehearsal, { at, measured, before, after }: Ended): Trial {
  const misses = missesOf(measured, targets);
  return {
    schema: 'dbkit.ha-trial/v1',
    drill: id,
    at,
    passed: misses.length === 0,
    patroniVersion,
    ttlSeconds: effectiveTtlSeconds(before),
    synchronous: before.settings?.isSynchronous ?? false,
    guarded,
    here,
    ...measured,
    leaderBefore: before.leader!,
    leaderAfter: after.leader,
    targets,
    misses: [...misses],
  };
}
