import * as v from 'valibot';
import { fill } from '../kernel/reasons.ts';
import type { ClusterFinding, Finds } from './finding.ts';

/** PgBouncer, as its admin console tells it. */
export interface PoolerView {
  readonly address: string;
  /** Why its console could not be asked; null: it answers. */
  readonly trouble: string | null;
  /** PAUSE holds its clients back, all of them or those of one database; null: it does not say (1.18 and older tell of single databases only). */
  readonly paused: boolean | null;
  /** Clients that wait for a server. */
  readonly waiting: number;
  readonly longestWaitSeconds: number;
}

const number = v.fallback(v.pipe(v.unknown(), v.transform(Number), v.finite()), 0);
const states = v.array(v.looseObject({ key: v.string(), value: v.string() }));
const databases = v.array(v.looseObject({ paused: number }));
const pools = v.array(v.looseObject({ cl_waiting: number, maxwait: number }));

/** `SHOW STATE` (undefined where there is none), `SHOW DATABASES`, `SHOW POOLS` (pgbouncer(1), "Admin console"). */
export function viewOf(
  address: string,
  rows: { readonly states: unknown; readonly databases: unknown; readonly pools: unknown },
): PoolerView {
  const state = rows.states === undefined ? undefined : v.parse(states, rows.states);
  const someDatabase = v.parse(databases, rows.databases).some(({ paused }) => paused === 1);
  const known = v.parse(pools, rows.pools);
  return {
    address,
    trouble: null,
    paused: someDatabase || (state === undefined ? null : state.some(({ key, value }) => key !== 'active' && value === 'yes')),
    waiting: known.reduce((sum, { cl_waiting }) => sum + cl_waiting, 0),
    longestWaitSeconds: Math.max(0, ...known.map(({ maxwait }) => maxwait)),
  };
}

const LONG_SECONDS = 5; // So long a switchover lets them wait at most before it gives up.

/** The first row that matches is the finding. */
export const poolerFindings = [
  {
    id: 'pooler-silent',
    when: ({ trouble }) => trouble !== null,
    then: 'warning',
    words: 'the console of PgBouncer at {address} cannot be asked: {trouble}',
    next: 'check that it runs, and that POSTGRES_USER is one of its `admin_users`',
  },
  {
    id: 'pooler-paused',
    when: ({ paused }) => paused === true,
    then: 'critical',
    words: 'PgBouncer at {address} is paused: its clients wait',
    next: 'while no switchover runs, type RESUME in its console: `psql -d pgbouncer`',
  },
  {
    id: 'pooler-clients-wait',
    when: ({ waiting, longestWaitSeconds }) => waiting > 0 && longestWaitSeconds > LONG_SECONDS,
    then: 'critical',
    words: 'clients of PgBouncer at {address} wait for a server: {waiting}, the longest for {longestWaitSeconds} s',
    next: 'look for a leader that accepts writes; with one, type RESUME in its console: it may be paused',
  },
] as const satisfies readonly Finds<[PoolerView]>[];

/** null where nothing is wrong, or there is none. Pure. */
export function poolerFinding(view: PoolerView | null): ClusterFinding | null {
  const row = view === null ? undefined : poolerFindings.find(({ when }) => when(view));
  return row === undefined
    ? null
    : { id: row.id, severity: row.then, member: null, words: fill(row.words, { ...view }), next: fill(row.next, { ...view }) };
}
