import { counted } from '../../kernel/units.ts';
import type { ProbeFacts } from '../facts.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { asking } from './asking.ts';
import type { SharedSessions, Watch } from './sessions.ts';

type Changed = ProbeFacts['collations'][number];

/** Since 15 a database knows the version of its own collation; pg_database_collation_actual_version says what the C library has now. */
const DATABASES = `
  SELECT datname AS database, NULL AS collation, datcollversion AS made, pg_database_collation_actual_version(oid) AS now
    FROM pg_database WHERE datallowconn AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid) AND datcollversion IS NOT NULL
   ORDER BY datname`;
/** Collations of this database that something uses; those that nobody uses hurt nobody. */
const COLLATIONS = `
  SELECT current_database() AS database, c.collname AS collation, c.collversion AS made, pg_collation_actual_version(c.oid) AS now
    FROM pg_collation c
   WHERE c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid) AND c.collversion IS NOT NULL
     AND EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_collation'::regclass AND d.refobjid = c.oid)`;

/** Text is still sorted by the rules that the indexes were built with: another image may bring another C library or ICU. */
export function collationsProbe(sessions: SharedSessions): ProbeOf<'collations'> {
  return asking(sessions, { name: 'collations', title: 'versions of collations' }, async (watch): Promise<ResultOf<'collations'>> => {
    const changed = [...(await databases(watch)), ...(await watch.session.query<Changed>(COLLATIONS))];
    const [first] = changed;
    if (first === undefined) return { status: 'ok', summary: 'text is sorted as when its indexes were built' };
    const names = [...new Set(changed.map(({ database }) => database))];
    const quoted = watch.session.escapeIdentifier(first.database);
    return {
      status: 'warning',
      summary: `text is sorted by other rules than when ${counted(names.length, 'database')} were built (${names.join(', ')}): ${first.collation ?? 'the collation'} was ${first.made}, is ${first.now ?? 'gone'}; indexes on text may be wrong`,
      hint: `in each: \`REINDEX DATABASE ${quoted}\`, then \`${
        first.collation === null
          ? `ALTER DATABASE ${quoted} REFRESH COLLATION VERSION`
          : `ALTER COLLATION ${watch.session.escapeIdentifier(first.collation)} REFRESH VERSION`
      }\``,
      data: changed,
    };
  });
}

const databases = async ({ session, version }: Watch): Promise<readonly Changed[]> =>
  Number.parseInt(version, 10) >= 15 ? session.query<Changed>(DATABASES) : [];
