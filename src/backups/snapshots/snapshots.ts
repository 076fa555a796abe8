import { DbkitError } from '../../kernel/errors.ts';
import { makeLabel } from '../../kernel/labels.ts';
import { describeProperties } from '../dump/contents.ts';
import { openSession, type ServerNeeds } from '../dump/loader.ts';
import { inTransaction } from '../dump/roles.ts';
import { dropScratch } from '../dump/scratch-database.ts';
import { replacedName, swap } from '../dump/swap.ts';
import type { RestoredReport, SavedReport, Snapshots } from './contract.ts';
import { alone, giveProperties, type Ungiven, withCopy } from './copy.ts';
import { findSnapshot, listSnapshots, requirePossible } from './look.ts';
import { commentOf, type KeptSnapshot, nameOfMoment, type Snapshot, snapshotDatabase } from './snapshot.ts';

/** One database as light as a branch: a copy of its files in the same server, known by its name and its comment. */
export function createSnapshots(needs: ServerNeeds): Snapshots {
  return {
    save: (wish, signal) => save(needs, wish, signal),
    restore: (wish, signal) => restore(needs, wish, signal),
    async list({ database }, signal) {
      const session = await openSession(needs, 'postgres', signal);
      const all = await listSnapshots(session).finally(() => session.end());
      return all.filter((one) => database === undefined || one.of === database).map(shown);
    },
    delete: (wish, signal) =>
      alone(
        needs,
        async (session) => {
          const found = await findSnapshot(session, wish);
          await dropScratch(needs, session, found.database, signal);
          needs.system.log.info('snapshot.deleted', `Snapshot ${found.name} of ${found.of} is deleted.`);
          return shown(found);
        },
        signal,
      ),
  };
}

const shown = ({ properties: _properties, ...snapshot }: KeptSnapshot): Snapshot => snapshot;

/** The copy belongs to the superuser, and only superusers may connect to it: it is nobody's database until it is restored. */
async function save(needs: ServerNeeds, wish: Parameters<Snapshots['save']>[0], signal: AbortSignal): Promise<SavedReport> {
  const { clock, log, reached } = needs.system;
  const begunMs = clock.monotonicMs();
  return alone(
    needs,
    async (session) => {
      const [id, text] = [session.escapeIdentifier, session.escapeLiteral];
      const of = wish.database;
      const now = clock.now();
      const name = wish.name ?? nameOfMoment(now);
      await requirePossible(needs, session, { does: 'save', database: of, source: of, name });
      if ((await listSnapshots(session)).some((one) => one.of === of && one.name === name))
        throw new DbkitError('file.exists', `there is a snapshot ${name} of ${of} already`, {
          hint: 'choose another name, or delete it with `dbkit snapshot delete`; nothing was changed',
        });
      const taken = await session.query<{ name: string }>('SELECT datname AS name FROM pg_database');
      const database = snapshotDatabase(
        now,
        taken.map((row) => row.name),
      );
      log.info('snapshot.copying', `Copying ${of}: its sessions are ended, and new ones wait until the copy is made.`);
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
            reached('snapshot.publishing');
          });
          return 0;
        },
        signal,
      );
      const durationMs = Math.round(clock.monotonicMs() - begunMs);
      return { name, of, at: now.toISOString(), sizeBytes, database, endedSessions, durationMs };
    },
    signal,
  );
}

async function restore(needs: ServerNeeds, wish: Parameters<Snapshots['restore']>[0], signal: AbortSignal): Promise<RestoredReport> {
  const { clock, log } = needs.system;
  const begunMs = clock.monotonicMs();
  return alone(
    needs,
    async (session) => {
      const { name, of: database, at, database: source, properties } = await findSnapshot(session, wish);
      await requirePossible(needs, session, { does: 'restore', database, source, name });
      const isThere = (await session.query('SELECT FROM pg_database WHERE datname = $1', [database])).length > 0;
      const replaced = isThere ? await replacedName(session, database, makeLabel('replaced', clock.now())) : null;
      log.info('snapshot.restoring', `Restoring ${name}: sessions of ${database} are ended, and new ones wait until it is in its place.`);
      let missing: readonly Ungiven[] = [];
      const { endedSessions } = await withCopy(
        needs,
        session,
        source,
        async (copy) => {
          missing = await giveProperties(session, copy, properties);
          return swap(needs, session, { beside: copy, into: database, replaced, madeRoles: [] }, signal);
        },
        signal,
      );
      for (const { what, because } of missing) log.warn('snapshot.missing', `restored differently: ${what}: ${because}`, { what });
      const undo = replaced === null ? [] : await undoOf(database, replaced);
      const durationMs = Math.round(clock.monotonicMs() - begunMs);
      return { name, database, at, replaced, undo, missing, endedSessions, durationMs };

      async function undoOf(current: string, kept: string): Promise<string[]> {
        const id = session.escapeIdentifier;
        const aside = await replacedName(session, current, makeLabel('replaced', clock.now()).replace('replaced', 'restored'));
        return [`ALTER DATABASE ${id(current)} RENAME TO ${id(aside)}`, `ALTER DATABASE ${id(kept)} RENAME TO ${id(current)}`];
      }
    },
    signal,
  );
}
