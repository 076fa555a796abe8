/** Commands of psql's that the built-in client knows, each as the question it stands for. */
export interface Shorthand {
  readonly command: string;
  readonly words: string;
  /** `name` is what follows the command; undefined: nothing did. Values are quoted by `literal`. */
  readonly sql: (name: string | undefined, literal: (text: string) => string) => string;
}

const visible = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'";
const kinds = `CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
  WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'i' THEN 'index' ELSE c.relkind::text END`;

const relations = (
  which: string,
): string => `SELECT n.nspname AS schema, c.relname AS name, ${kinds} AS type, pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size(c.oid)) AS size
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN (${which}) AND ${visible} ORDER BY 1, 2`;

const described = (name: string): string => `SELECT a.attname AS column, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS nullable, coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') AS default
  FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = ${name}::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;
SELECT pg_catalog.pg_get_indexdef(indexrelid) AS indexes FROM pg_catalog.pg_index WHERE indrelid = ${name}::pg_catalog.regclass ORDER BY 1;
SELECT conname AS constraint, pg_catalog.pg_get_constraintdef(oid) AS definition FROM pg_catalog.pg_constraint
 WHERE conrelid = ${name}::pg_catalog.regclass ORDER BY 1`;

export const shorthands: readonly Shorthand[] = [
  {
    command: '\\l',
    words: 'databases',
    sql: () =>
      'SELECT datname AS name, pg_catalog.pg_get_userbyid(datdba) AS owner, pg_catalog.pg_encoding_to_char(encoding) AS encoding, datcollate AS collate FROM pg_catalog.pg_database ORDER BY 1',
  },
  {
    command: '\\du',
    words: 'roles',
    sql: () =>
      'SELECT rolname AS role, rolsuper AS superuser, rolcreatedb AS createdb, rolcreaterole AS createrole, rolcanlogin AS login FROM pg_catalog.pg_roles ORDER BY 1',
  },
  {
    command: '\\dn',
    words: 'schemas',
    sql: () =>
      `SELECT nspname AS name, pg_catalog.pg_get_userbyid(nspowner) AS owner FROM pg_catalog.pg_namespace n WHERE ${visible} ORDER BY 1`,
  },
  { command: '\\dt', words: 'tables', sql: () => relations("'r', 'p'") },
  { command: '\\dv', words: 'views', sql: () => relations("'v', 'm'") },
  { command: '\\di', words: 'indexes', sql: () => relations("'i'") },
  {
    command: '\\d',
    words: 'one table: columns, indexes, constraints; without a name all tables, views and sequences',
    sql: (name, literal) => (name === undefined ? relations("'r', 'p', 'v', 'm', 'S', 'f'") : described(literal(name))),
  },
];

/** The question that a line like `\d orders` stands for; undefined where it is none of them. Pure. */
export function shorthandFor(line: string, literal: (text: string) => string): string | undefined {
  const [, command, name] = /^(\\\w+)\+?(?:\s+(\S.*?))?\s*;?\s*$/.exec(line.trim()) ?? [];
  return shorthands.find((one) => one.command === command)?.sql(name, literal);
}
