import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asServerUser, serverUser } from './as-user.ts';
import { ask } from './ask.ts';
import { startBare } from './bare-server.ts';
import { cacheDirectory } from './cache.ts';
import { ownedBy } from './files.ts';
import { type Programs, runnable } from './majors.ts';
import { known, ledgerRow } from './rows.ts';

/** Where the template's relations are, relative to PGDATA. */
export interface Places {
  readonly ledger: string;
  readonly ledgerKey: string;
  readonly ledgerByAccount: string;
  readonly documents: string;
  readonly documentsToast: string;
  readonly scratch: string;
  /** A catalog's heap and one of its indexes, both mapped, in the database `app`. */
  readonly pgClass: string;
  readonly pgClassOidIndex: string;
  readonly pgAttribute: string;
  readonly archiveLedger: string;
  /** The folders of the two databases. */
  readonly app: string;
  readonly archive: string;
}

/** A cluster that was shut down cleanly and that no dbkit has seen. */
export interface Template {
  readonly dataDir: string;
  readonly places: Places;
  readonly programs: Programs;
}

const schema = (rows: number): string => `
  CREATE TABLE ledger (id int PRIMARY KEY, account text NOT NULL, amount numeric NOT NULL, note text NOT NULL, checksum text NOT NULL);
  INSERT INTO ledger SELECT ${ledgerRow} FROM generate_series(1, ${rows}) i;
  CREATE INDEX ledger_by_account ON ledger (account text_pattern_ops, id);`;

const application = `
  ${schema(known.ledger)}
  CREATE TABLE documents (id int PRIMARY KEY, body text NOT NULL, checksum text NOT NULL);
  INSERT INTO documents SELECT i, body, md5(body)
    FROM generate_series(1, ${known.documents}) i, LATERAL (SELECT string_agg(md5(i || '/' || j), '') AS body FROM generate_series(1, 700) j) made;
  CREATE UNLOGGED TABLE scratch AS SELECT i FROM generate_series(1, 1000) i;
  DO $$ BEGIN FOR n IN 1..20 LOOP EXECUTE format('CREATE TABLE churn_%s (a int, b text)', n); EXECUTE format('DROP TABLE churn_%s', n); END LOOP; END $$;
  CREATE VIEW totals AS SELECT account, sum(amount) AS total FROM ledger GROUP BY account;`;

const found = new Map<string, Promise<Template>>();

/** The template of one major: made once, kept until what it is made from changes. */
export function templateOf(programs: Programs): Promise<Template> {
  const known = found.get(programs.directory) ?? findTemplate(programs);
  found.set(programs.directory, known);
  return known;
}

async function findTemplate(programs: Programs): Promise<Template> {
  const able = await runnable(programs);
  const version = spawnSync(join(able.directory, 'postgres'), ['--version'], { cwd: '/' }).stdout.toString();
  const key = createHash('sha256')
    .update([version, application, String(serverUser.uid), 'v1'].join('\n'))
    .digest('hex')
    .slice(0, 16);
  const kept = join(await cacheDirectory(), `template-${able.major}-${key}`);
  if (!existsSync(kept)) await build(able, kept);
  const places = JSON.parse(await readFile(join(kept, 'places.json'), 'utf8')) as Places;
  return { dataDir: join(kept, 'data'), places, programs: able };
}

async function build(programs: Programs, kept: string): Promise<void> {
  const building = await mkdtemp(join(tmpdir(), 'dbkit-template-'));
  try {
    await ownedBy(building, serverUser);
    const dataDir = join(building, 'data');
    initdb(programs, dataDir);
    const server = await startBare(programs, dataDir, { socketDir: building, port: 5432, settings: { fsync: 'off' } });
    if (!server.up) throw new Error(`the template's server does not start:\n${server.words()}`);
    const places = await fill({ socketDir: building, port: 5432 });
    await server.stop();
    await writeFile(join(building, 'places.json'), JSON.stringify(places));
    await chmod(building, 0o755);
    await rename(building, kept); // Another worker may have been quicker: then this one is not needed.
  } catch (cause) {
    await rm(building, { recursive: true, force: true });
    if (!existsSync(kept)) throw cause;
  }
}

/** A new, empty cluster, as dbkit itself would make it. */
export function initdb({ directory }: Programs, dataDir: string): void {
  const options = ['--username=postgres', '--encoding=UTF8', '--locale=C', '--data-checksums', '--no-sync', '--auth-local=trust'];
  const { status, stderr } = spawnSync(join(directory, 'initdb'), [`--pgdata=${dataDir}`, '--auth-host=scram-sha-256', ...options], {
    ...asServerUser,
    cwd: '/',
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
  });
  if (status !== 0) throw new Error(`initdb failed:\n${stderr.toString()}`);
}

async function fill(address: { socketDir: string; port: number }): Promise<Places> {
  await ask(address, 'postgres', 'CREATE DATABASE app', 'CREATE DATABASE archive');
  await ask(address, 'app', application, 'VACUUM ANALYZE');
  await ask(address, 'archive', schema(known.archive), 'VACUUM ANALYZE');
  const path = (relation: string): string => `pg_relation_filepath('${relation}')`;
  const [app] = await ask<Omit<Places, 'archiveLedger' | 'archive'>>(
    address,
    'app',
    `SELECT ${path('ledger')} AS ledger, ${path('ledger_pkey')} AS "ledgerKey", ${path('ledger_by_account')} AS "ledgerByAccount",
            ${path('documents')} AS documents, ${path('scratch')} AS scratch,
            ${path('pg_class')} AS "pgClass", ${path('pg_class_oid_index')} AS "pgClassOidIndex", ${path('pg_attribute')} AS "pgAttribute",
            (SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'documents') AS "documentsToast",
            (SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()) AS app`,
  );
  const [archive] = await ask<Pick<Places, 'archiveLedger' | 'archive'>>(
    address,
    'archive',
    `SELECT ${path('ledger')} AS "archiveLedger", (SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()) AS archive`,
  );
  return { ...app!, ...archive! };
}
