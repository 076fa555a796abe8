import { rowsOf } from '../../instance/count-rows.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { listRelations } from '../dump/contents.ts';
import { openMaintenance, openSession, type ServerNeeds } from '../dump/loader.ts';
import { compareRows, compareSchemas, type DatabaseContents } from './compare.ts';
import type { DiffReport, Snapshots } from './contract.ts';
import { findSnapshot } from './look.ts';
import { listObjects } from './schema-objects.ts';

/** Both databases are read in one snapshot each; every table is counted. Rejects with `usage.invalid` when there is no such snapshot, or no database. */
export async function diffSnapshot(
  needs: ServerNeeds,
  { database, name }: Parameters<Snapshots['diff']>[0],
  signal: AbortSignal,
): Promise<DiffReport> {
  const session = await openMaintenance(needs, signal);
  try {
    const found = await findSnapshot(session, { database, name });
    if ((await session.query('SELECT FROM pg_database WHERE datname = $1', [database])).length === 0)
      throw new DbkitError('usage.invalid', `there is no database ${database} to compare with`, {
        hint: `\`dbkit snapshot restore ${name} --database ${database}\` makes it again as it was`,
      });
    const [before, after] = await Promise.all([contentsOf(needs, found.database, signal), contentsOf(needs, database, signal)]);
    const schema = compareSchemas(before.objects, after.objects);
    const rows = compareRows(before.rows, after.rows);
    return { name, database, at: found.at, same: schema.length === 0 && rows.length === 0, schema, rows, tables: after.rows.size };
  } finally {
    await session.end();
  }
}

/** Schema and rows as of one moment; a materialized view whose rows cannot be counted safely is left out. */
async function contentsOf(needs: ServerNeeds, database: string, signal: AbortSignal): Promise<DatabaseContents> {
  const session = await openSession(needs, database, signal);
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const objects = await listObjects(session);
    const rows = new Map<string, number>();
    for (const relation of [...(await listRelations(session, 'r')), ...(await listRelations(session, 'm'))]) {
      const { schema, name } = relation;
      const [quoted] = await session.query<{ name: string }>("SELECT format('%I.%I', $1::text, $2::text) AS name", [schema, name]);
      const count = await rowsOf(session, relation);
      if (count !== undefined) rows.set(quoted!.name, count);
    }
    return { objects, rows };
  } finally {
    await session.end();
  }
}
