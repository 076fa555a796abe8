import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { ConfigInput } from '../../src/config/config.ts';
import type { ChoreReport } from '../../src/upkeep/contract.ts';
import type { LogDecision } from '../../src/upkeep/log-retention.ts';
import type { Need } from '../../src/upkeep/needs.ts';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;

async function serving(config: ConfigInput = {}): Promise<Instance> {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, { ...config, postgresql: { settings: { autovacuum: false } } });
  const running = await boot(instance);
  onTestFinished(async () => void (await running.stop()));
  return instance;
}
async function report<T>(instance: Instance, ...words: string[]): Promise<T> {
  const { stdout, stderr } = await run(instance, ['maintenance', ...words, '--json']);
  const { report: given } = JSON.parse(stdout) as { report?: T };
  if (!given) throw new Error(stdout + stderr);
  return given;
}
const needs = async (instance: Instance): Promise<string[]> =>
  (await report<{ needs: Need[] }>(instance)).needs.filter(({ database }) => database === 'app').map(({ statement }) => statement);
const outcomes = ({ steps }: ChoreReport): string[] => steps.map(({ target, outcome }) => `${outcome} ${target}`);

/** Another session that stays open, in a transaction that holds what `statement` takes. */
async function holding({ socketDir: host, port }: Instance, statement: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'app' });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('BEGIN');
  await client.query(statement);
  const end = (): Promise<void> => client.end().catch(() => undefined);
  onTestFinished(end);
  return end;
}

test('what would help is listed and done: dead rows, missing statistics, an invalid and a bloated index', async () => {
  const instance = await serving();
  await ask(
    instance,
    'app',
    'CREATE TABLE "Odd one" (id int, pad text)',
    'INSERT INTO "Odd one" SELECT g, repeat(\'x\', 100) FROM generate_series(1, 20000) g',
    'ANALYZE "Odd one"',
    'DELETE FROM "Odd one" WHERE id % 2 = 0',
    'CREATE TABLE unknown AS SELECT generate_series(1, 5000) AS a',
    'CREATE TABLE fat AS SELECT g AS a FROM generate_series(1, 600000) g',
    'CREATE INDEX fat_a ON fat (a)',
    'DELETE FROM fat WHERE a % 20 <> 0',
    'CREATE TABLE twice AS SELECT 1 AS a FROM generate_series(1, 2000)',
    'ANALYZE twice',
    'ANALYZE ledger',
    'ANALYZE documents',
    'ANALYZE scratch',
  );
  await ask(instance, 'app', 'CREATE UNIQUE INDEX CONCURRENTLY twice_a ON twice (a)').catch(() => undefined); // Fails, and leaves an invalid index.
  await ask(instance, 'app', 'DELETE FROM twice WHERE ctid <> (SELECT min(ctid) FROM twice)');
  await ask(instance, 'app', 'VACUUM (ANALYZE) twice, fat'); // In a session of its own: what the others have deleted is counted when they end.
  expect((await needs(instance)).sort()).toEqual([
    'ANALYZE public.unknown',
    'REINDEX INDEX CONCURRENTLY public.fat_a',
    'REINDEX INDEX CONCURRENTLY public.twice_a',
    'VACUUM (ANALYZE) public."Odd one"',
  ]);

  const planned = await report<ChoreReport>(instance, 'reindex', '--dry-run', '--database', 'app');
  expect(outcomes(planned).sort()).toEqual(['planned public.fat_a', 'planned public.twice_a']);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM pg_index WHERE NOT indisvalid')).toBe(1);

  const rebuilt = await report<ChoreReport>(instance, 'reindex', '--database', 'app');
  expect(outcomes(rebuilt).sort()).toEqual(['done public.fat_a', 'done public.twice_a']);
  expect(rebuilt.steps.find(({ target }) => target === 'public.fat_a')!.freedBytes).toBeGreaterThan(8 * 1024 * 1024);
  expect(outcomes(await report(instance, 'vacuum', '--database', 'app'))).toEqual(['done public."Odd one"']);
  expect(outcomes(await report(instance, 'analyze', '--database', 'app'))).toEqual(['done public.unknown']);
  expect(await needs(instance)).toEqual([]);
  const said = await run(instance, ['maintenance', '--database', 'app']);
  expect(said.stdout).toBe('nothing needs a hand: autovacuum keeps up, and every index is valid\n');
  await expectAllRows(instance, 0);
});

nightly('a table that somebody holds is skipped, nobody waits long behind it, and no half-made index stays', async () => {
  const instance = await serving({ maintenance: { lockTimeoutSeconds: 0.3, rebuildWaitSeconds: 0.6 } });
  const letGo = await holding(instance, 'LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE');
  for (const chore of ['vacuum', 'analyze', 'reindex']) {
    const { steps } = await report<ChoreReport>(instance, chore, 'ledger', 'documents');
    expect(steps.map(({ target, outcome }) => `${outcome} ${target}`).sort(), chore).toEqual([
      'done public.documents',
      'skipped public.ledger',
    ]);
  }
  await letGo();
  const writing = await holding(instance, 'UPDATE ledger SET note = note WHERE id = 1');
  expect(outcomes(await report(instance, 'reindex', 'ledger')), 'a rebuild waits for old transactions').toEqual(['skipped public.ledger']);
  await writing();
  const invalid = (): Promise<number> => askNumber(instance, 'app', 'SELECT count(*) FROM pg_index WHERE NOT indisvalid');
  if ((await invalid()) > 0)
    expect(await needs(instance), 'what could not be dropped is listed').toContainEqual(expect.stringMatching(/^DROP INDEX .*_ccnew/));
  await report(instance, 'reindex');
  expect(await invalid()).toBe(0);
  expect(outcomes(await report(instance, 'reindex', 'ledger'))).toEqual(['done public.ledger']);
  const { code, stderr } = await run(instance, ['maintenance', 'vacuum', 'nowhere']);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/there is no table 'nowhere' in app/) });
  await expectAllRows(instance, 0);
});

nightly('the progress of a long vacuum comes from PostgreSQL’s own view', async () => {
  const instance = await serving();
  await ask(
    instance,
    'app',
    'CREATE TABLE long (id int, pad text) WITH (fillfactor = 10)',
    "INSERT INTO long SELECT g, repeat('x', 300) FROM generate_series(1, 60000) g",
    'DELETE FROM long WHERE id % 2 = 0',
  );
  const { stderr, code } = await run(instance, ['maintenance', 'vacuum', 'long', '--log-format', 'json']);
  expect(code, stderr).toBe(0);
  const events = stderr
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { event: string; message: string; done: number; total: number });
  const progress = events.filter(({ event }) => event === 'maintenance.progress');
  expect(progress.map(({ message }) => message)).toContain('vacuum public.long: scanning heap');
  expect(progress.some(({ done, total }) => done > 0 && total >= done)).toBe(true);
});

test('a checkpoint says what it took, and logs go by age and size but never one that is written to', async () => {
  const instance = await serving({ maintenance: { logs: { maxAge: '30d', maxSize: '1MB' } } });
  await ask(instance, 'app', 'CREATE TABLE written AS SELECT generate_series(1, 1000)');
  expect(await report<{ walBytes: number }>(instance, 'checkpoint')).toMatchObject({ walBytes: expect.any(Number) });
  const path = (name: string): string => join(instance.logDir, name);
  const old = new Date(Date.now() - 40 * 86_400_000);
  await writeFile(path('postgresql.log.1'), 'young');
  await writeFile(path('postgresql-2026-01-01.log.gz'), 'old');
  await utimes(path('postgresql-2026-01-01.log.gz'), old, old);
  await writeFile(path('dbkit.log'), 'x'.repeat(400_000));
  await writeFile(path('notes.txt'), 'mine');
  await utimes(path('notes.txt'), old, old);
  for (const name of ['postgresql.log.1', 'postgresql-2026-01-01.log.gz', 'dbkit.log']) await ownedBy(path(name), serverUser);
  const { decisions } = await report<{ decisions: LogDecision[] }>(instance, 'logs', '--dry-run');
  expect(Object.fromEntries(decisions.map(({ name, action }) => [name, action]))).toEqual({
    'postgresql.log': 'keep',
    'postgresql.log.1': 'keep',
    'postgresql-2026-01-01.log.gz': 'remove',
    'dbkit.log': 'rotate',
  });
  expect(await readdir(instance.logDir)).toContain('postgresql-2026-01-01.log.gz');
  await run(instance, ['maintenance', 'logs']);
  const names = await readdir(instance.logDir);
  expect(names).toEqual(expect.arrayContaining(['postgresql.log', 'postgresql.log.1', 'notes.txt', 'dbkit.log']));
  expect(names).not.toContain('postgresql-2026-01-01.log.gz');
  expect(names.filter((name) => name.startsWith('dbkit.log.2'))).toHaveLength(1);
});
