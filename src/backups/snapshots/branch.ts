import type { Connection } from '../../instance/connection.ts';

/** The setting of a database that says to which branch of a project its data belongs; it is dbkit's, and in no snapshot and no dump. */
export const BRANCH_SETTING = 'dbkit.branch';

/** Of the names of snapshots those with this beginning are branches’; git allows no colon in the name of one (git-check-ref-format). */
export const BRANCH_PREFIX = 'branch:';

/** Pure. The name of a branch's snapshot. */
export const snapshotOfBranch = (branch: string): string => `${BRANCH_PREFIX}${branch}`;

/** The branch that the data of a database belongs to; null where nobody said. */
export async function branchOf(session: Connection, database: string): Promise<string | null> {
  const [row] = await session.query<{ branch: string }>(
    `SELECT substr(one, ${BRANCH_SETTING.length + 2}) AS branch
       FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(setconfig) one
      WHERE d.datname = $1 AND setrole = 0 AND one LIKE '${BRANCH_SETTING}=%'`,
    [database],
  );
  return row?.branch ?? null;
}

/** Says to which branch the data of a database belongs, or, with null, that nobody knows. */
export async function setBranch(session: Connection, database: string, branch: string | null): Promise<void> {
  const alter = `ALTER DATABASE ${session.escapeIdentifier(database)}`;
  await session.query(
    branch === null ? `${alter} RESET ${BRANCH_SETTING}` : `${alter} SET ${BRANCH_SETTING} TO ${session.escapeLiteral(branch)}`,
  );
}
