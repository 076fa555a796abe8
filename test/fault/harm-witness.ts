import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { type Address, ask, inSession } from '../harness/ask.ts';

/** The last moments of writing: 0 and 1 are in the backups, 2 in the files since, 3 only in the WAL. */
export const PHASES = [0, 1, 2, 3] as const;
export type Phase = (typeof PHASES)[number];

interface Witness {
  readonly database: 'app' | 'archive' | 'later';
  readonly table: string;
  /** The first phase in which it is there. */
  readonly from: Phase;
  readonly body: string;
  readonly rows: number;
}

/** Every row bears the phase of its commit and a checksum over itself. `later` is a database of phase 2. */
export const witnesses: readonly Witness[] = [
  { database: 'app', table: 'plain', from: 0, body: "'plain ' || repeat(md5(g::text), 4)", rows: 300 },
  { database: 'app', table: 'wide', from: 0, body: 'repeat(md5(g::text), 300)', rows: 12 },
  { database: 'app', table: 'indexed', from: 0, body: 'md5(g::text)', rows: 200 },
  { database: 'app', table: 'spaced', from: 0, body: 'repeat(md5(g::text), 3)', rows: 100 },
  { database: 'app', table: 'emptied', from: 0, body: 'md5(g::text)', rows: 100 },
  { database: 'app', table: 'born2', from: 2, body: 'md5(g::text)', rows: 150 },
  { database: 'app', table: 'born3', from: 3, body: 'md5(g::text)', rows: 150 },
  { database: 'archive', table: 'plain', from: 0, body: 'repeat(md5(g::text), 3)', rows: 150 },
  { database: 'later', table: 'plain', from: 2, body: 'repeat(md5(g::text), 3)', rows: 80 },
];

const HOT = 400;
const HOT_BODY = "'hot ' || repeat(md5(id::text), 3)";
const more: Readonly<Record<string, string>> = { indexed: ', n int, place point, spot point, tags int[], k int' };
const values: Readonly<Record<string, string>> = {
  indexed: ', i % 7, point(i, i), point(i, -i), ARRAY[1, i % 50], i',
};
/** Each reads through one index only, and must find as much as there is. */
export const throughIndexes: Readonly<Record<string, string>> = {
  plain_key: 'SELECT count(*) FROM plain WHERE id > 0',
  indexed_hash: 'SELECT count(*) FROM generate_series(0, 6) g CROSS JOIN LATERAL (SELECT 1 FROM indexed WHERE n = g OFFSET 0) x',
  indexed_gist: "SELECT count(*) FROM indexed WHERE place <@ box '((-1,-1),(9000000,9000000))'",
  indexed_spgist: "SELECT count(*) FROM indexed WHERE spot <@ box '((-9000000,-9000000),(9000000,9000000))'",
  indexed_gin: 'SELECT count(*) FROM indexed WHERE tags @> ARRAY[1]',
  indexed_brin: 'SELECT count(*) FROM indexed WHERE k > 0',
  hot_key: 'SELECT count(*) FROM hot WHERE id > 0',
};

const made = (table: string, place = ''): string =>
  `CREATE TABLE ${table} (id int, phase int, body text, sum text${more[table] ?? ''}) WITH (autovacuum_enabled = false)${place}`;
const insert = ({ table, body, rows }: Witness, phase: Phase, offset = 0): string =>
  `INSERT INTO ${table} SELECT i, ${phase}, body, md5(i || ':' || ${phase} || ':' || body)${values[table] ?? ''}
     FROM (SELECT ${phase * 10_000 + offset} + g AS i, ${body} AS body FROM generate_series(1, ${rows}) g) one`;

/** What the clients do in one phase. Ends when all of it is committed, or rolled back where that is said. */
export async function write(address: Address, phase: Phase, space: string): Promise<void> {
  if (phase === 0) await begin(address, space);
  if (phase === 2) {
    await ask(address, 'postgres', 'CREATE DATABASE later');
    await ask(address, 'later', made('plain'));
  }
  for (const witness of witnesses.filter(({ from }) => from <= phase)) {
    const { database, table, from } = witness;
    if (from === phase && from > 0 && database === 'app') await ask(address, 'app', made(table));
    const emptied = table === 'emptied' && phase === 2 ? ['TRUNCATE emptied'] : [];
    const removed = phase > from ? [`DELETE FROM ${table} WHERE phase = ${phase - 1} AND id % 10 = 9`] : [];
    await ask(address, database, 'BEGIN', insert(witness, phase, 5_000), 'ROLLBACK', ...emptied, ...removed, insert(witness, phase));
  }
  if (phase > 0)
    await ask(address, 'app', `UPDATE hot SET phase = ${phase}, sum = md5(id || ':${phase}:' || body) WHERE id % 4 = ${phase}`);
  await ask(address, 'app', largeObjects(phase), `SELECT nextval('counter') FROM generate_series(1, 50)`);
  if (phase === 1) await ask(address, 'app', 'VACUUM (FREEZE) plain', 'VACUUM indexed');
  if (phase === 2)
    await ask(
      address,
      'app',
      'VACUUM FULL spaced',
      `BEGIN`,
      `INSERT INTO pending SELECT generate_series(1, 10)`,
      `PREPARE TRANSACTION 'p2'`,
    );
}

async function begin(address: Address, space: string): Promise<void> {
  for (const database of ['app', 'archive']) await ask(address, database, 'DROP TABLE IF EXISTS ledger, documents, scratch CASCADE'); // Nobody counts them here.
  await ask(address, 'postgres', `CREATE TABLESPACE space LOCATION '${space}'`);
  const app = witnesses.filter(({ database, from }) => database === 'app' && from === 0);
  await ask(
    address,
    'app',
    ...app.map(({ table }) => made(table, table === 'spaced' ? ' TABLESPACE space' : '')),
    'ALTER TABLE wide ALTER body SET STORAGE EXTERNAL',
    'CREATE UNIQUE INDEX plain_key ON plain (id)',
    'CREATE INDEX indexed_hash ON indexed USING hash (n)',
    'CREATE INDEX indexed_gist ON indexed USING gist (place)',
    'CREATE INDEX indexed_spgist ON indexed USING spgist (spot)',
    'CREATE INDEX indexed_gin ON indexed USING gin (tags)',
    'CREATE INDEX indexed_brin ON indexed USING brin (k)',
    'CREATE TABLE hot (id int, phase int, body text, sum text) WITH (autovacuum_enabled = false)',
    `INSERT INTO hot SELECT id, 0, body, md5(id || ':0:' || body) FROM (SELECT id, ${HOT_BODY} AS body FROM generate_series(1, ${HOT}) id) one`,
    'CREATE UNIQUE INDEX hot_key ON hot (id)',
    'CREATE TABLE objects (id oid, phase int, sum text)',
    'CREATE TABLE pending (id int)',
    'CREATE SEQUENCE counter',
    'CREATE UNLOGGED TABLE loose AS SELECT generate_series(1, 100) AS id',
  );
  await ask(address, 'archive', made('plain'));
}

const largeObjects = (phase: Phase): string =>
  `INSERT INTO objects SELECT lo_from_bytea(0, convert_to(body, 'UTF8')), ${phase}, md5(body)
     FROM (SELECT repeat(md5(g || ':${phase}'), 200) AS body FROM generate_series(1, 3) g) one`;

/** The rows of one phase in one table, sound ones only. */
export interface Seen {
  /** By `database.table`, then by phase; undefined: it cannot be read, for this reason. */
  readonly rows: Readonly<Record<string, { readonly byPhase: Readonly<Record<number, number>>; readonly error?: string }>>;
  readonly indexes: Readonly<Record<string, number | string>>;
  readonly prepared: number | string;
  readonly counter: number | string;
}

const counted = (table: string): string =>
  table === 'objects'
    ? `SELECT phase, count(*)::int AS rows FROM objects WHERE md5(convert_from(lo_get(id), 'UTF8')) = sum GROUP BY 1`
    : `SELECT phase, count(*)::int AS rows FROM ${table} WHERE sum = md5(id || ':' || phase || ':' || body) GROUP BY 1`;

/** Everything that clients find. A session or a query that fails finds nothing, and says why. */
export async function look(address: Address): Promise<Seen> {
  const tables = [...witnesses, { database: 'app', table: 'hot' }, { database: 'app', table: 'objects' }];
  const rows: Record<string, { byPhase: Record<number, number>; error?: string }> = {};
  const indexes: Record<string, number | string> = {};
  let [prepared, counter]: [number | string, number | string] = ['no session', 'no session'];
  for (const database of ['app', 'archive', 'later']) {
    const own = tables.filter((one) => one.database === database);
    const visit = async (client: pg.Client): Promise<void> => {
      await client.query('SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off');
      for (const { table } of own) rows[`${database}.${table}`] = await count(client, table);
      if (database !== 'app') return;
      await client.query('RESET ALL; SET enable_seqscan = off');
      for (const [index, query] of Object.entries(throughIndexes)) indexes[index] = await one(client, query);
      prepared = await one(client, 'SELECT count(*) FROM pg_prepared_xacts');
      counter = await one(client, 'SELECT last_value FROM counter');
    };
    await onceServed(() => inSession(address, database, visit)).catch((cause: unknown) => {
      for (const { table } of own) rows[`${database}.${table}`] ??= { byPhase: {}, error: String(cause) };
    });
  }
  return { rows, indexes, prepared, counter };
}

/** A damaged page may crash the server under whoever reads it: the next session waits until it has recovered. */
async function onceServed<T>(read: () => Promise<T>, times = 100): Promise<T> {
  return read().catch(async (cause: unknown) => {
    const isCut = /terminated unexpectedly/.test(String(cause)); // By somebody else's crash, or by its own, which is seen again.
    const passes = isCut || /the database system is (in recovery mode|starting up|not yet accepting connections)/.test(String(cause));
    if (times <= 0 || !passes) throw cause;
    await sleep(100);
    return onceServed(read, times - (isCut ? 25 : 1));
  });
}

/** Clients cannot read past it, whatever it held: a page that nobody has named is a gap of no rows. */
const BROKEN_PAGE = /invalid page in block/;

/** One page that cannot be read hides every other row of its table: then those are counted without it, and the failure stays. */
async function count(client: pg.Client, table: string): Promise<{ byPhase: Record<number, number>; error?: string }> {
  const found = async () => {
    const { rows } = await client.query<{ phase: number; rows: number }>(counted(table));
    return Object.fromEntries(rows.map((row) => [row.phase, row.rows]));
  };
  try {
    return { byPhase: await found() };
  } catch (cause) {
    const error = String(cause);
    if (!BROKEN_PAGE.test(error)) return { byPhase: {}, error };
    await client.query('SET zero_damaged_pages = on');
    const byPhase = await found().catch(() => ({}));
    await client.query('RESET zero_damaged_pages');
    return { byPhase, error };
  }
}

const one = (client: pg.Client, query: string): Promise<number | string> =>
  client.query<Record<string, unknown>>(query).then(
    (answer) => Number(Object.values(answer.rows[0] ?? {})[0]),
    (cause: unknown) => String(cause),
  );

/** Something that is not as it was acknowledged. `rows` below 0: more are there than should be. */
export interface Gap {
  readonly what: string;
  readonly database: string;
  readonly table: string;
  readonly phase: number;
  readonly rows: number;
  readonly error?: string | undefined;
}

/** Of what was there, what is not there now, and the other way round. Pure. */
export function gapsBetween(truth: Seen, now: Seen): Gap[] {
  const rows = Object.entries(truth.rows).flatMap(([what, { byPhase }]): Gap[] => {
    const [database = '', table = ''] = what.split('.');
    const found = now.rows[what];
    return PHASES.flatMap((phase) => {
      const missing = (byPhase[phase] ?? 0) - (found?.byPhase[phase] ?? 0);
      const isHidden = (byPhase[phase] ?? 0) > 0 && BROKEN_PAGE.test(found?.error ?? '');
      return missing === 0 && !isHidden ? [] : [{ what, database, table, phase, rows: missing, error: found?.error }];
    });
  });
  const indexes = Object.entries(now.indexes).flatMap(([index, found]): Gap[] => {
    const table = index.split('_')[0]!;
    const there = Object.values(now.rows[`app.${table}`]?.byPhase ?? {}).reduce((sum, count) => sum + count, 0);
    if (found === there) return [];
    return [
      { what: index, database: 'app', table, phase: 3, rows: typeof found === 'number' ? there - found : there, error: String(found) },
    ];
  });
  const others: Gap[] = [];
  if (now.prepared !== truth.prepared)
    others.push({ what: 'prepared', database: 'app', table: 'pending', phase: 2, rows: 10, error: String(now.prepared) });
  if (typeof now.counter !== 'number' || now.counter < Number(truth.counter))
    others.push({ what: 'counter', database: 'app', table: 'counter', phase: 3, rows: 1, error: String(now.counter) });
  return [...rows, ...indexes, ...others];
}
