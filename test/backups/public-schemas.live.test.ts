import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect } from 'vitest';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import type { LoadReport } from '../../src/backups/load-dump.ts';
import { ask, inSession } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { dumpable } from '../harness/majors.ts';
import { everywhere, nightly } from '../harness/tier.ts';

/**
 * Sample databases as their authors publish them, which are not dbkit's to hand on: DBKIT_SAMPLES names a folder with an SQL script for each, that
 * psql runs there. Seen whole with the programs of 13, 15 and 18: pagila, chinook, netflix and titanic (neondatabase/postgres-sample-dbs), northwind
 * (pthom/northwind_psql), world (ghusta/docker-postgres-world-db).
 */
const folder = process.env['DBKIT_SAMPLES'] ?? '';
const samples = folder === '' ? [] : readdirSync(folder).filter((name) => name.endsWith('.sql'));

async function report<T>(instance: Instance, ...words: string[]): Promise<T> {
  const { stdout, stderr } = await run(instance, [...words, '--json']);
  const document = JSON.parse(stdout) as { report?: T };
  if (!document.report) throw new Error(stdout + stderr);
  return document.report;
}

const tool = ({ socketDir, port }: Instance, name: string, ...args: string[]): string =>
  execFileSync(name, [...args, '--no-password', `--host=${socketDir}`, `--port=${port}`, '--username=postgres'], {
    encoding: 'utf8',
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });

/** As pg_dump writes it, without its header and the tokens that change with every run. */
const schemaOf = (instance: Instance, database: string): string =>
  tool(instance, 'pg_dump', '--schema-only', `--dbname=${database}`)
    .replace(/^\\(un)?restrict .*$/gm, '')
    .replace(/^--.*$/gm, '');

/** In the order of their names. */
const RELATIONS = `
  SELECT quote_ident(nspname) || '.' || quote_ident(relname) AS name, relkind = 'S' AS sequence FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
   WHERE relkind IN ('r', 'm', 'S') AND relispopulated AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1`;

/** Every row of every table, materialised view and sequence: how many, and a hash over all of them as text. */
const rowsOf = (instance: Instance, database: string): Promise<Map<string, unknown>> =>
  inSession(instance, database, async (client) => {
    const rows = new Map<string, unknown>();
    for (const { name, sequence } of (await client.query<{ name: string; sequence: boolean }>(RELATIONS)).rows) {
      const from = sequence ? `(SELECT last_value, is_called FROM ${name})` : name; // How many it has logged ahead is its own affair.
      const text = `SELECT count(*)::int AS rows, md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C")) AS hash FROM ${from} t`;
      rows.set(name, (await client.query(text)).rows[0]);
    }
    return rows;
  });

describe.each(everywhere ? dumpable : dumpable.slice(0, 1))('PostgreSQL $major', (programs) => {
  nightly('public schemas come back from a dump row for row, with the same schema', async ({ skip }) => {
    if (samples.length === 0) skip('DBKIT_SAMPLES names no folder with scripts');
    const instance = await openInstance({ programs, from: 'template' });
    const running = await boot(instance);
    for (const sample of samples) {
      const database = basename(sample, '.sql');
      await ask(instance, 'postgres', `CREATE DATABASE "${database}" TEMPLATE template0 ENCODING 'UTF8'`);
      tool(instance, 'psql', '-qX', '--set=ON_ERROR_STOP=1', `--dbname=${database}`, `--file=${join(folder, sample)}`);
      const [schema, rows] = [schemaOf(instance, database), await rowsOf(instance, database)];
      expect(rows.size, `${sample} makes tables`).toBeGreaterThan(0);
      const { backup } = await report<{ backup: ListedBackup }>(instance, 'backup', 'create', '--engine=dump', `--database=${database}`);
      expect(await run(instance, ['backup', 'verify', backup.label, '--test'])).toMatchObject({ code: 0 });
      const loaded = await report<LoadReport>(instance, 'backup', 'restore', backup.label, '--yes');
      expect(loaded.missing).toEqual([]);
      expect(schemaOf(instance, database)).toBe(schema);
      expect(await rowsOf(instance, database)).toEqual(rows);
      const total = [...rows.values()].reduce<number>((sum, row) => sum + (row as { rows: number }).rows, 0);
      process.stderr.write(`PostgreSQL ${programs.major}, ${database}: ${rows.size} relations, ${total} rows\n`);
    }
    await running.stop();
  });
});
