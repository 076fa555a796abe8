import type { Connection } from '../../instance/connection.ts';
import { describeProperties } from '../dump/contents.ts';
import type { ServerNeeds } from '../dump/loader.ts';
import { inTransaction } from '../dump/roles.ts';
import type { SavedReport } from './contract.ts';
import { withCopy } from './copy.ts';
import { commentOf, snapshotDatabase } from './snapshot.ts';

/**
 * The copy belongs to the superuser, and only superusers may connect to it: it is nobody's database until it is restored. `also` is done in the
 * transaction by which it becomes a snapshot.
 */
export async function saveCopy(
  needs: ServerNeeds,
  session: Connection,
  { database: of, name, also }: { readonly database: string; readonly name: string; readonly also?: () => Promise<void> },
  signal: AbortSignal,
): Promise<SavedReport> {
  const { clock, reached } = needs.system;
  const [id, text] = [session.escapeIdentifier, session.escapeLiteral];
  const begunMs = clock.monotonicMs();
  const now = clock.now();
  const taken = await session.query<{ name: string }>('SELECT datname AS name FROM pg_database');
  const database = snapshotDatabase(
    now,
    taken.map((row) => row.name),
  );
  const properties = await describeProperties(session, of);
  let sizeBytes = 0;
  const { endedSessions } = await withCopy(
    needs,
    session,
    of,
    async (copy) => {
      const [size] = await session.query<{ bytes: string }>('SELECT pg_database_size($1::name) AS bytes', [copy]);
      sizeBytes = Number(size!.bytes);
      await inTransaction(session, async () => {
        await session.query(`REVOKE ALL ON DATABASE ${id(copy)} FROM PUBLIC`);
        const comment = commentOf({ of, name, at: now.toISOString(), sizeBytes, properties });
        await session.query(`COMMENT ON DATABASE ${id(copy)} IS ${text(comment)}`);
        await session.query(`ALTER DATABASE ${id(copy)} RENAME TO ${id(database)}`);
        await also?.();
        reached('snapshot.publishing');
      });
      return 0;
    },
    signal,
  );
  return { name, of, at: now.toISOString(), sizeBytes, database, endedSessions, durationMs: Math.round(clock.monotonicMs() - begunMs) };
}
