import { wordsOf } from '../kernel/errors.ts';
import type { PatientSession } from './session.ts';

interface Sequence {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly type: string;
  readonly start: string;
  readonly min: string;
  readonly max: string;
  readonly isDescending: boolean;
}

interface Column {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
}

const SEQUENCES = `
  SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS name, format_type(s.seqtypid, NULL) AS type, s.seqstart::text AS start,
         s.seqmin::text AS min, s.seqmax::text AS max, s.seqincrement < 0 AS "isDescending"
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
   ORDER BY 2, 3`;

/** The columns of numbers that own it, or take their default from it. */
const COLUMNS = `
  SELECT DISTINCT n.nspname AS schema, c.relname AS table, a.attname AS name
    FROM (SELECT refobjid AS relation, refobjsubid AS number FROM pg_depend
           WHERE classid = 'pg_class'::regclass AND objid = $1::oid AND refclassid = 'pg_class'::regclass AND refobjsubid > 0
          UNION SELECT f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
           WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::oid) AS uses
    JOIN pg_class c ON c.oid = relation JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = number
   WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND c.relkind IN ('r', 'p')`;

/**
 * A sequence is one page: when that is gone, so is its state. It is given a page of another's, past every value that its columns hold; its owner,
 * its settings, its grants and whatever refers to it stay.
 */
export async function renewSequences(session: PatientSession): Promise<string[]> {
  const done: string[] = [];
  for (const sequence of await session.query<Sequence>(SEQUENCES)) {
    const name = `${session.id(sequence.schema)}.${session.id(sequence.name)}`;
    const words = await session
      .query(`SELECT last_value, is_called FROM ${name}`)
      .then(([row]) => (row ? undefined : 'it is empty'), wordsOf);
    if (words === undefined) continue;
    const what = `sequence ${sequence.schema}.${sequence.name}`;
    done.push(
      await renew(session, sequence, name).then(
        (how) => `${what} was recreated${how}: ${words}`,
        (cause: unknown) => `${what} is damaged (${words}) and could not be recreated: ${wordsOf(cause)}`,
      ),
    );
  }
  return done;
}

async function renew({ id, literal, query }: PatientSession, sequence: Sequence, name: string): Promise<string> {
  const { oid, type, start, min, max, isDescending } = sequence;
  const columns = await query<Column>(COLUMNS, [oid]);
  const furthest = isDescending ? 'min' : 'max';
  const values = columns.map((column) => `(SELECT ${furthest}(${id(column.name)})::numeric FROM ${id(column.schema)}.${id(column.table)})`);
  const last = values.length === 0 ? 'NULL' : `${isDescending ? 'least' : 'greatest'}(${values.join(', ')})`;
  const [found] = await query<{ last: string | null }>(
    `SELECT least(greatest(${last}, ${min}), ${max})::text AS last WHERE ${last} IS NOT NULL`,
  );
  const spare = `${id(sequence.schema)}.${id(`dbkit_spare_${oid}`)}`;
  await query(`
    CREATE SEQUENCE ${spare} AS ${type} MINVALUE ${min} MAXVALUE ${max} START ${start};
    SELECT setval(${literal(spare)}, ${found?.last ?? start}, ${found !== undefined});
    CREATE TEMP TABLE files ON COMMIT DROP AS
      SELECT c.oid, o.relfilenode AS file, o.reltablespace AS space FROM pg_catalog.pg_class c, pg_catalog.pg_class o
       WHERE (c.oid, o.oid) IN ((${oid}, ${literal(spare)}::regclass), (${literal(spare)}::regclass, ${oid}));
    UPDATE pg_catalog.pg_class c SET relfilenode = files.file, reltablespace = files.space FROM files WHERE files.oid = c.oid;
    DROP SEQUENCE ${spare}`);
  await query(`SELECT last_value FROM ${name}`);
  return found === undefined
    ? ` and begins with ${start}`
    : `, past ${found.last} in ${columns.map((column) => `${column.table}.${column.name}`).join(', ')}`;
}
