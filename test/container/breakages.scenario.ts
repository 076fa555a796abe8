import { chown, readdir, rm, rmdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { zeroPage } from '../harness/breaking.ts';
import { note } from './tools.ts';
import { type Workspace, workspace } from './workspace.ts';

const ROWS = 5000;
let shop: Workspace;
let ledger: string;

beforeAll(async () => {
  shop = await workspace();
  expect(await shop.up()).toMatchObject({ outcome: 'success' });
  await shop.sql(`CREATE TABLE ledger AS SELECT g AS id, md5(g::text) AS note FROM generate_series(1, ${ROWS}) g`);
  ledger = await shop.sql("SELECT pg_relation_filepath('ledger')");
  expect(await shop.exec('dbkit', 'backup', 'create')).toMatchObject({ code: 0 });
});
afterAll(() => shop.end());

/**
 * What somebody does to the stopped container's folder, from the host, and what the next start has to say about it. The tenth,
 * a volume that is full, is refused: volumes.scenario.ts.
 */
interface Breakage {
  readonly what: string;
  break(dataDir: string): Promise<unknown>;
  readonly told: RegExp;
}

const breakages: readonly Breakage[] = [
  {
    what: 'a file of global/ is gone',
    break: (data) => rm(join(data, 'global/2671')),
    told: /global\/2671: pg_database_datname_index: the file is missing/,
  },
  { what: 'pg_control is empty', break: (data) => truncate(join(data, 'global/pg_control'), 0), told: /pg_control/ },
  { what: 'empty directories are gone, as after git or a sync tool', break: removeEmptyDirectories, told: /pg_notify|empty director/ },
  {
    what: 'everything belongs to another user',
    break: (data) => everyFile(data, (path) => chown(path, 4321, 4321)),
    told: /owner|belong/,
  },
  {
    what: 'a page of a table is zeroed',
    break: (dataDir) => zeroPage({ dataDir }, ledger, 1),
    told: /a file is damaged, and the backup|newest backup/,
  },
  { what: 'the configuration is deleted', break: (data) => rm(join(data, 'postgresql.conf')), told: /postgresql\.conf/ },
  {
    what: 'the WAL is deleted',
    break: async (data) => {
      for (const name of await readdir(join(data, 'pg_wal'))) if (/^[0-9A-F]{24}$/.test(name)) await rm(join(data, 'pg_wal', name));
    },
    told: /WAL/,
  },
  {
    what: 'PG_VERSION names another major version',
    break: (data) => writeFile(join(data, 'PG_VERSION'), '13\n'),
    told: /PG_VERSION|version/,
  },
  {
    what: 'postmaster.pid names a process that lives, and is none of PostgreSQL’s',
    break: (data) => writeFile(join(data, 'postmaster.pid'), '1\n/var/lib/postgresql-data\n1700000000\n5432\n/var/run/postgresql\n\n\n'),
    told: /postmaster\.pid/,
  },
];

describe.each(breakages)('between two starts $what', ({ break: breakIt, told }) => {
  test('up: healed, and explained', async () => {
    await shop.stop();
    await shop.news();
    await breakIt(shop.dataDir);
    const up = await shop.up();
    const news = await shop.news();
    note('told', `\n        ${news.trim().split('\n').join('\n        ')}`);
    expect(news).toMatch(told);
    expect(up).toMatchObject({ outcome: 'success' });
    note('up', `${up.ms} ms`);
    expect(await shop.sql('SELECT count(*), count(DISTINCT note) FROM ledger')).toBe(`${ROWS}|${ROWS}`);
  });
});

async function removeEmptyDirectories(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true }))
    if (entry.isDirectory()) {
      const path = join(directory, entry.name);
      await removeEmptyDirectories(path);
      if ((await readdir(path)).length === 0) await rmdir(path);
    }
}

async function everyFile(directory: string, work: (path: string) => Promise<unknown>): Promise<void> {
  await work(directory);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await everyFile(path, work);
    else await work(path);
  }
}
