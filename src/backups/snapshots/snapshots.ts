import { DbkitError } from '../../kernel/errors.ts';
import { makeLabel } from '../../kernel/labels.ts';
import { openMaintenance, type ServerNeeds } from '../dump/loader.ts';
import { dropScratch } from '../dump/scratch-database.ts';
import { replacedName, swap } from '../dump/swap.ts';
import { branchOf, setBranch } from './branch.ts';
import type { RestoredReport, SavedReport, Snapshots } from './contract.ts';
import { alone, giveProperties, type Ungiven, withCopy } from './copy.ts';
import { diffSnapshot } from './diff.ts';
import { findSnapshot, listSnapshots, requirePossible } from './look.ts';
import { saveCopy } from './save.ts';
import { type KeptSnapshot, nameOfMoment, type Snapshot } from './snapshot.ts';
import { turnTo } from './turn.ts';

/** One database as light as a branch: a copy of its files in the same server, known by its name and its comment. */
export function createSnapshots(needs: ServerNeeds): Snapshots {
  return {
    save: (wish, signal) => save(needs, wish, signal),
    restore: (wish, signal) => restore(needs, wish, signal),
    turn: (wish, signal) => turnTo(needs, wish, signal),
    async nameBranch({ database, branch }, signal) {
      const session = await openMaintenance(needs, signal);
      await setBranch(session, database, branch).finally(() => session.end());
    },
    diff: (wish, signal) => diffSnapshot(needs, wish, signal),
    async list({ database }, signal) {
      const session = await openMaintenance(needs, signal);
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

async function save(
  needs: ServerNeeds,
  { database, name: wanted }: Parameters<Snapshots['save']>[0],
  signal: AbortSignal,
): Promise<SavedReport> {
  const { clock, log } = needs.system;
  return alone(
    needs,
    async (session) => {
      const name = wanted ?? nameOfMoment(clock.now());
      await requirePossible(needs, session, { does: 'save', database, source: database, name });
      if ((await listSnapshots(session)).some((one) => one.of === database && one.name === name))
        throw new DbkitError('file.exists', `there is a snapshot ${name} of ${database} already`, {
          hint: 'choose another name, or delete it with `dbkit snapshot delete`; nothing was changed',
        });
      log.info('snapshot.copying', `Copying ${database}: its sessions are ended, and new ones wait until the copy is made.`);
      return saveCopy(needs, session, { database, name }, signal);
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
      await requirePossible(needs, session, { does: 'restore', database, source });
      const isThere = (await session.query('SELECT FROM pg_database WHERE datname = $1', [database])).length > 0;
      const replaced = isThere ? await replacedName(session, database, makeLabel('replaced', clock.now())) : null;
      log.info('snapshot.restoring', `Restoring ${name}: sessions of ${database} are ended, and new ones wait until it is in its place.`);
      const branch = await branchOf(session, database);
      let missing: readonly Ungiven[] = [];
      const { endedSessions } = await withCopy(
        needs,
        session,
        source,
        async (copy) => {
          missing = await giveProperties(session, copy, properties);
          if (branch !== null) await setBranch(session, copy, branch); // Whichever branch it was saved on.
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
