import type { Connection } from '../../instance/connection.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { decide, fill } from '../../kernel/reasons.ts';
import { roomAt } from '../../machine/disk-usage.ts';
import type { ServerNeeds } from '../dump/loader.ts';
import { asSnapshot, type CommentedDatabase, type KeptSnapshot } from './snapshot.ts';
import { nameFacts, type SnapshotFacts, snapshotRows } from './snapshot-rows.ts';

const COMMENTED = `
  SELECT datname AS database, shobj_description(d.oid, 'pg_database') AS comment, (rolsuper OR rolname = current_user) AS "isOurs"
    FROM pg_database d JOIN pg_roles r ON r.oid = datdba ORDER BY 1`;

/** The snapshots of a server, the newest first. */
export async function listSnapshots(session: Connection): Promise<KeptSnapshot[]> {
  const found = (await session.query<CommentedDatabase>(COMMENTED)).flatMap((row) => asSnapshot(row) ?? []);
  return found.sort((a, b) => b.at.localeCompare(a.at) || b.database.localeCompare(a.database));
}

/** Rejects with `usage.invalid`, and the names that there are. */
export async function findSnapshot(session: Connection, { database, name }: { database: string; name: string }): Promise<KeptSnapshot> {
  const all = await listSnapshots(session);
  const found = all.find((one) => one.of === database && one.name === name);
  if (found) return found;
  const names = all.flatMap((one) => (one.of === database ? [one.name] : []));
  throw new DbkitError('usage.invalid', `there is no snapshot ${name} of the database ${database}`, {
    hint: names.length > 0 ? `there are: ${names.join(', ')}` : '`dbkit snapshot list` shows those that there are',
  });
}

const FACTS = `
  SELECT d.oid IS NOT NULL AS "isThere", coalesce(d.datallowconn AND d.datconnlimit <> -2, false) AS "isOpen", pg_is_in_recovery() AS "inRecovery",
         (SELECT gid FROM pg_prepared_xacts WHERE database = $1 ORDER BY prepared LIMIT 1) AS prepared,
         (SELECT subname FROM pg_subscription WHERE subdbid = d.oid AND subenabled ORDER BY 1 LIMIT 1) AS subscription,
         CASE WHEN $2 = $1 AND d.oid IS NULL THEN 0 ELSE pg_database_size($2::name) END::float8 AS "copyBytes",
         (SELECT dattablespace FROM pg_database WHERE datname = $2) IS NOT DISTINCT FROM 1663 AS "isOnData"
    FROM (SELECT) AS one LEFT JOIN pg_database d ON d.datname = $1`;

/**
 * Asks for all that stands against a copy of `source`, which is of `database` or is to take its place; `copies`: false: it is only renamed. Rejects with the failure of the first row
 * that refuses.
 */
export async function requirePossible(
  { config }: ServerNeeds,
  session: Connection,
  {
    does,
    database,
    source,
    name = 'it', // One that is there has a name.
    copies = true,
  }: Pick<SnapshotFacts, 'does' | 'database'> & { readonly source: string; readonly name?: string; readonly copies?: boolean },
): Promise<void> {
  type Asked = Pick<SnapshotFacts, 'isThere' | 'isOpen' | 'inRecovery' | 'prepared' | 'subscription' | 'copyBytes'>;
  const [row] = await session.query<Asked & { isOnData: boolean }>(FACTS, [database, source]);
  const { isOnData, prepared, subscription, ...asked } = row!;
  const { socketDir, dataDir } = config.postgresql;
  const isLocal = socketDir.startsWith('/') && isOnData;
  const facts: SnapshotFacts = {
    does,
    database,
    ...nameFacts(name),
    ...asked,
    isServers: ['postgres', 'template0', 'template1'].includes(database),
    isSnapshot: (await listSnapshots(session)).some((one) => one.database === database),
    prepared: prepared === null ? null : session.escapeLiteral(prepared),
    subscription: subscription === null ? null : session.escapeIdentifier(subscription),
    freeBytes:
      isLocal && copies
        ? await roomAt(dataDir).then(
            ({ freeBytes }) => freeBytes,
            () => null,
          )
        : null,
  };
  const decided = decide<SnapshotFacts, (typeof snapshotRows)[number]>(snapshotRows, facts);
  if (decided.then === 'copy') return;
  const { code, hint } = decided.refusal;
  throw new DbkitError(code, fill(decided.words, { ...facts }), { hint: fill(hint, { ...facts }) });
}
