import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { decide, fill } from '../../kernel/reasons.ts';
import { describeProperties } from '../dump/contents.ts';
import type { ServerNeeds } from '../dump/loader.ts';
import { inTransaction } from '../dump/roles.ts';
import { withoutSessions } from '../dump/swap.ts';
import { branchOf, setBranch, snapshotOfBranch } from './branch.ts';
import type { Snapshots, TurnReport } from './contract.ts';
import { alone, giveProperties, type Ungiven } from './copy.ts';
import { listSnapshots, requirePossible } from './look.ts';
import { saveCopy } from './save.ts';
import { commentOf, type KeptSnapshot, nameOfMoment, snapshotDatabase } from './snapshot.ts';
import { type TurnFacts, turnRows } from './turn-rows.ts';

/** Gives a branch that was checked out its own data. Rejects as `save` does; the database is then as it was. */
export async function turnTo(needs: ServerNeeds, wish: Parameters<Snapshots['turn']>[0], signal: AbortSignal): Promise<TurnReport> {
  const { clock, log } = needs.system;
  const begunMs = clock.monotonicMs();
  return alone(
    needs,
    async (session) => {
      const { database, to } = wish;
      const from = (await branchOf(session, database)) ?? wish.left;
      const all = await listSnapshots(session);
      const find = (branch: string): KeptSnapshot | undefined =>
        all.find((one) => one.of === database && one.name === snapshotOfBranch(branch));
      const saved = find(to);
      const facts: TurnFacts = { from, to, isSaved: saved !== undefined };
      const { id, then, words } = decide<TurnFacts, (typeof turnRows)[number]>(turnRows, facts);
      if (then !== 'stay') await requirePossible(needs, session, { does: 'turn', database, source: database, copies: then === 'copy' });
      let ended = 0;
      let missing: readonly Ungiven[] = [];
      if (then === 'name') await setBranch(session, database, to);
      if ((then === 'copy' || then === 'exchange') && from !== null) {
        await keepOlder(needs, session, find(from));
        log.debug('snapshot.turning', `Turning ${database} from ${from} to ${to}: its sessions are ended.`);
        if (then === 'exchange' && saved) ({ ended, missing } = await exchange(needs, session, { database, from, to, saved }, signal));
        else
          ({ endedSessions: ended } = await saveCopy(
            needs,
            session,
            { database, name: snapshotOfBranch(from), also: () => setBranch(session, database, to) },
            signal,
          ));
      }
      for (const { what, because } of missing) log.warn('snapshot.missing', `restored differently: ${what}: ${because}`, { what });
      const durationMs = Math.round(clock.monotonicMs() - begunMs);
      return {
        outcome: then,
        reason: id,
        because: fill(words, { ...facts }),
        database,
        from,
        to,
        missing,
        endedSessions: ended,
        durationMs,
      };
    },
    signal,
  );
}

/** A snapshot of the branch whose data is in use is one of an earlier time; it gets a name of its own, and stays. */
async function keepOlder({ system }: ServerNeeds, session: Connection, older: KeptSnapshot | undefined): Promise<void> {
  if (older === undefined) return;
  const name = `${older.name}:${nameOfMoment(new Date(older.at))}`;
  await session.query(
    `COMMENT ON DATABASE ${session.escapeIdentifier(older.database)} IS ${session.escapeLiteral(commentOf({ ...older, name }))}`,
  );
  system.log.info('snapshot.kept', `An older snapshot of that branch is kept as ${name}.`);
}

interface Exchange {
  readonly database: string;
  readonly from: string;
  readonly to: string;
  readonly saved: KeptSnapshot;
}

/**
 * Two renames, and who may do what with each, in one transaction: whoever connects meanwhile waits, and a kill leaves either all of it or nothing.
 */
async function exchange(
  needs: ServerNeeds,
  session: Connection,
  { database, from, to, saved }: Exchange,
  signal: AbortSignal,
): Promise<{ readonly ended: number; readonly missing: readonly Ungiven[] }> {
  const [id, text] = [session.escapeIdentifier, session.escapeLiteral];
  const now = needs.system.clock.now();
  const taken = await session.query<{ name: string }>('SELECT datname AS name FROM pg_database');
  const aside = snapshotDatabase(
    now,
    taken.map(({ name }) => name),
  );
  const [size] = await session.query<{ bytes: string }>('SELECT pg_database_size($1::name) AS bytes', [database]);
  let missing: readonly Ungiven[] = [];
  const swapBoth = (): Promise<void> =>
    inTransaction(session, async () => {
      const properties = await describeProperties(session, database);
      const record = { of: database, name: snapshotOfBranch(from), at: now.toISOString(), sizeBytes: Number(size!.bytes), properties };
      await session.query(`ALTER DATABASE ${id(database)} OWNER TO CURRENT_USER`); // Nobody else may write what makes it a snapshot.
      for (const role of new Set(['', ...(properties.privileges ?? []).map(({ grantee }) => grantee)]))
        await session.query(`REVOKE ALL ON DATABASE ${id(database)} FROM ${role === '' ? 'PUBLIC' : id(role)} CASCADE`);
      await session.query(`COMMENT ON DATABASE ${id(database)} IS ${text(commentOf(record))}`);
      await setBranch(session, database, null);
      await session.query(`ALTER DATABASE ${id(database)} RENAME TO ${id(aside)}`);
      await session.query(`COMMENT ON DATABASE ${id(saved.database)} IS NULL`);
      await session.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${id(saved.database)} TO PUBLIC`); // The default, unless it had privileges of its own.
      missing = await giveProperties(withSavepoints(session), saved.database, saved.properties);
      await setBranch(session, saved.database, to);
      await session.query(`ALTER DATABASE ${id(saved.database)} RENAME TO ${id(database)}`);
      needs.system.reached('branch.turning');
    });
  let ended = 0;
  const clearSnapshot = async (): Promise<void> => {
    ended += await withoutSessions(needs, session, database, swapBoth, signal);
  };
  await withoutSessions(needs, session, saved.database, clearSnapshot, signal);
  return { ended, missing };
}

/** The same session inside a transaction: a statement that fails takes back itself only. */
const withSavepoints = (session: Connection): Connection => ({
  ...session,
  query: async <T extends object>(sql: string, params?: readonly unknown[]): Promise<T[]> => {
    await session.query('SAVEPOINT one');
    try {
      const rows = await session.query<T>(sql, params);
      await session.query('RELEASE SAVEPOINT one');
      return rows;
    } catch (cause) {
      if (sqlStateOf(cause) !== undefined) await session.query('ROLLBACK TO SAVEPOINT one');
      throw cause;
    }
  },
});
