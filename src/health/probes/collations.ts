import type { Clock } from '../../kernel/machine.ts';
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
/** Collations of one database that something in it uses; those that nobody uses hurt nobody. */
const COLLATIONS = `
  SELECT current_database() AS database, c.collname AS collation, c.oid::regcollation::text AS quoted, c.collversion AS made,
         pg_collation_actual_version(c.oid) AS now
    FROM pg_collation c
   WHERE c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid) AND c.collversion IS NOT NULL
     AND EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_collation'::regclass AND d.refobjid = c.oid)`;
/** A library comes with a start of the server. An interrupted DROP DATABASE (-2) lets nobody in. */
const ASKED = `
  SELECT oid::text AS oid, datname AS name, datname = current_database() AS here, pg_postmaster_start_time()::text AS since FROM pg_database
   WHERE datallowconn AND datconnlimit <> -2 ORDER BY 3 DESC, 2`;

/** For the sessions of one check; a monitor gets through all of them in a few. */
const BUDGET_MS = 1_000;

/** Text is still sorted by the rules that the indexes were built with: another image may bring another C library or ICU. */
export function collationsProbe(sessions: SharedSessions, clock: Clock): ProbeOf<'collations'> {
  const inEach = createRounds(clock);
  return asking(sessions, { name: 'collations', title: 'versions of collations' }, async (watch): Promise<ResultOf<'collations'>> => {
    const { found, left } = await inEach(watch);
    const changed = [...(await databases(watch)), ...found];
    const [first] = changed;
    const rest = left.length === 0 ? '' : `; not asked: ${counted(left.length, 'database')} (${left.slice(0, 5).join(', ')})`;
    if (first === undefined) return { status: 'ok', summary: `text is sorted as when its indexes were built${rest}` };
    const names = [...new Set(changed.map(({ database }) => database))];
    const quoted = watch.session.escapeIdentifier(first.database);
    return {
      status: 'warning',
      summary: `text is sorted by other rules than when the indexes of ${counted(names.length, 'database')} were built (${names.join(', ')}): ${first.collation ?? 'the collation'} was ${first.made}, is ${first.now ?? 'gone'}; indexes on text may be wrong${rest}`,
      hint: `in each: \`REINDEX DATABASE ${quoted}\`, then \`${
        first.quoted === undefined
          ? `ALTER DATABASE ${quoted} REFRESH COLLATION VERSION`
          : `ALTER COLLATION ${first.quoted} REFRESH VERSION`
      }\``,
      data: changed,
    };
  });
}

const databases = async ({ session, version }: Watch): Promise<readonly Changed[]> =>
  Number.parseInt(version, 10) >= 15 ? session.query<Changed>(DATABASES) : [];

interface Round {
  readonly found: readonly Changed[];
  /** Databases that gave no answer, or whose turn has not come. */
  readonly left: readonly string[];
}

/** Collations belong to a database, so each is asked. One in which all was well is not asked again until the server is started again. */
function createRounds(clock: Clock): (watch: Watch) => Promise<Round> {
  let start = '';
  const sound = new Set<string>(); // By oid: one of the same name may come from elsewhere.
  return async ({ session, inDatabase }) => {
    const all = await session.query<{ oid: string; name: string; here: boolean; since: string }>(ASKED);
    if (all[0]?.since !== start) sound.clear();
    start = all[0]?.since ?? '';
    const found: Changed[] = [];
    const left: string[] = [];
    const endsMs = clock.monotonicMs() + BUDGET_MS;
    const ask = async (name: string): Promise<readonly Changed[] | undefined> =>
      clock.monotonicMs() < endsMs ? inDatabase<Changed>(name, COLLATIONS) : undefined;
    for (const { oid, name, here } of all.filter((each) => !sound.has(each.oid))) {
      const rows = here ? await session.query<Changed>(COLLATIONS) : await ask(name);
      if (rows === undefined) left.push(name);
      else if (rows.length === 0) sound.add(oid);
      else found.push(...rows);
    }
    return { found, left };
  };
}
