import { openForServer } from '../instance/sessions.ts';
import { within } from '../kernel/deadline.ts';
import { wordsOf } from '../kernel/errors.ts';
import { fill } from '../kernel/reasons.ts';
import { type ClusterFacts, leaderOf } from './facts.ts';
import type { ClusterFinding } from './finding.ts';
import type { ClusterNeeds } from './look.ts';
import { type Place, placeOf } from './members.ts';
import type { Login } from './server.ts';
import { type Committed, writeFindings } from './write-findings.ts';

/** A commit that was tried through the address that applications write to. */
export interface WriteProbe {
  readonly address: string;
  /** It was acknowledged, by the synchronous standby too where there is one. */
  readonly committed: boolean;
  /** The server behind the address is the leader's; null: not known. */
  readonly reachesLeader: boolean | null;
  readonly finding: ClusterFinding | null;
}

const LIMIT_MS = 3_000;

/** The message needs no table and leaves nothing behind but a record in the WAL. It waits for the standbys as the application's commits do. */
const COMMIT = "select pg_logical_emit_message(true, 'dbkit.ha', 'probe')";
const WHO = `select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint::text as started_at, not pg_is_in_recovery() as writable`;

/** Commits once at this address, within 3 s. Rejects with the server's words, or with the time that was over. */
export async function commitOnce(place: Place, login: Login, signal: AbortSignal): Promise<Committed> {
  return within([signal], LIMIT_MS, async (bounded) => {
    const limits = { connectTimeoutMs: LIMIT_MS, statementTimeoutMs: LIMIT_MS };
    const session = await openForServer({ ...login, socketDir: place.host, port: place.port }, limits, bounded);
    try {
      const [who] = await session.query<{ started_at: string; writable: boolean }>(WHO);
      if (who!.writable) {
        await session.query("set synchronous_commit = 'on'");
        await session.query(COMMIT);
      }
      return { startedAt: who!.started_at, isWritable: who!.writable };
    } finally {
      void session.end();
    }
  });
}

/** null where `ha.writeAddress` is not set. */
export async function probeWritePort({ config }: ClusterNeeds, facts: ClusterFacts, signal: AbortSignal): Promise<WriteProbe | null> {
  const address = config.ha.writeAddress;
  if (address === undefined) return null;
  let why = '';
  const committed = await commitOnce(placeOf(address), config.postgresql, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    why = wordsOf(cause).split('\n')[0]!;
    return null;
  });
  const leader = leaderOf(facts)?.own;
  const reachesLeader = committed && leader ? committed.startedAt === leader.startedAt : null;
  const row = writeFindings.find(({ when }) => when({ committed, reachesLeader }));
  const told = { address, why, leader: facts.leader };
  return {
    address,
    committed: committed?.isWritable ?? false,
    reachesLeader,
    finding: row ? { id: row.id, severity: row.then, member: null, words: fill(row.words, told), next: row.next } : null,
  };
}
