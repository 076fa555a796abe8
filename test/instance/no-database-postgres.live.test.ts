import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { boot, type Running, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { dumpable, installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { nightly } from '../harness/tier.ts';
import { keepingOf, withArchive } from '../wal/kept.ts';

const WHERE = "SELECT datname AS database FROM pg_stat_activity WHERE application_name = 'dbkit' AND backend_type = 'client backend'";

/** The keeper of the WAL stays in a session as long as the server runs: in no database that others copy. */
async function untilKeptFrom(instance: Instance, database: string): Promise<void> {
  let seen = '';
  await until(
    async () => {
      const state = await keepingOf(instance);
      const sessions = await ask<{ database: string }>(instance, 'app', WHERE);
      seen = JSON.stringify({ state: state?.state, problem: state?.problem, sessions });
      return state?.state === 'keeping' && sessions.length > 0 && sessions.every((one) => one.database === database);
    },
    () => `the WAL is not kept from a session in ${database}: ${seen}`,
  );
}

/** How the database is taken away, by those who tidy up and by those who harden. */
const ways = [
  ['is dropped', ['DROP DATABASE postgres WITH (FORCE)']],
  [
    'lets nobody in',
    [
      'ALTER DATABASE postgres ALLOW_CONNECTIONS false',
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'",
    ],
  ],
] as const;

test('the database postgres is dropped under a running server: its WAL is kept, and others may make databases', async () => {
  await (await taken('is dropped')).running.stop();
});

nightly('the database postgres lets nobody in, for good: starts, dumps and snapshots work as before', async () => {
  const { instance, running } = await taken('lets nobody in');
  await running.stop();
  const other = { env: { ...withArchive.env, DATABASE_PASSWORD: 'another' } };
  const again = await boot(instance, other); // A configured password is set at every start.
  expect(await run(instance, ['health', '--probe', 'authentication', 'connection', 'write'], other)).toMatchObject({ code: 0 });
  const saved = await run(instance, ['snapshot', 'save', 'one'], other);
  expect(saved, saved.stderr).toMatchObject({ code: 0 });
  if (dumpable.some(({ major }) => major === instance.programs.major)) {
    const space = join(instance.root, 'space');
    await makeDirectory(space, serverUser, 0o700);
    await ask(instance, 'app', `CREATE TABLESPACE space LOCATION '${space}'`, 'CREATE TABLE spaced TABLESPACE space AS SELECT 1 AS id');
    const dumped = await run(instance, ['backup', 'create', '--engine', 'dump', '--json'], other);
    expect(dumped, dumped.stderr).toMatchObject({ code: 0 });
    const { label } = (JSON.parse(dumped.stdout) as { report: { backup: { label: string } } }).report.backup;
    const restored = await run(instance, ['backup', 'restore', label, '--database', 'app', '--into', 'beside'], other);
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    expect(await ask(instance, 'app', "SELECT rolname FROM pg_roles WHERE rolname LIKE 'dbkit_loader_%'"), restored.stderr).toEqual([]);
  }
  await again.stop();
});

async function taken(way: (typeof ways)[number][0]): Promise<{ instance: Instance; running: Running }> {
  const instance = await openInstance({ programs: installed[0]!, from: 'empty' });
  const running = await boot(instance, withArchive);
  await untilKeptFrom(instance, 'postgres');
  await ask(instance, 'app', ...ways.find(([name]) => name === way)![1]);
  await untilKeptFrom(instance, 'app');
  await ask(instance, 'app', 'CREATE DATABASE of_mine'); // A session in template1 would be in its way.
  expect(await run(instance, ['backup', 'create'], withArchive)).toMatchObject({ code: 0 });
  return { instance, running };
}
