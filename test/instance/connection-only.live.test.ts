import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { HealthReport } from '../../src/health/health.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run, start } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

nightly('a connection of an ordinary role is enough to ask, wait, look and take snapshots', async () => {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'postgres', 'ALTER ROLE app CREATEDB', 'ALTER DATABASE app OWNER TO app');
  await ask(instance, 'app', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO app');
  const elsewhere = join(instance.root, 'another-machine');
  const env = Object.fromEntries(Object.keys(instance.env).map((name) => [name, undefined as string | undefined]));
  const alone = { ...env, PATH: instance.env['PATH'], HOME: elsewhere };
  const url = `postgresql://app:secret@localhost:${instance.port}/app`;
  const over = (...words: string[]) => run(instance, [...words, '--url', url], { env: alone });

  expect(await over('wait', '--timeout', '60')).toMatchObject({ code: 0 });
  const asked = await over('sql', '--csv', '-c', 'SELECT current_user, count(*) FROM ledger');
  expect(asked, asked.stderr).toMatchObject({ code: 0, stdout: `current_user,count\napp,${known.ledger}\n` });
  const health = JSON.parse((await over('health', '--json')).stdout) as { report: HealthReport };
  expect(health.report.probes.filter(({ status }) => status === 'critical' || status === 'unknown')).toEqual([]);
  expect(health.report.probes.map(({ name }) => name)).not.toContain('data-directory');

  const saved = await over('snapshot', 'save', 'one');
  expect(saved, saved.stderr).toMatchObject({ code: 0 });
  await addRows(instance, known.ledger + 1, 10);
  expect(await run(instance, ['snapshot', 'restore', 'one'], { env: { ...alone, DATABASE_URL: url } })).toMatchObject({ code: 0 });
  await expectAllRows(instance, 0);
  expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_database WHERE datname ~ '^app_replaced'")).toBe(1);

  expect(await over('recover', '--yes')).toMatchObject({ code: 2, stderr: expect.stringContaining('needs the files of the server') });
  expect(existsSync(join(elsewhere, 'data')), 'nothing is made where no files are').toBe(false);

  const waiting = start(instance, ['sql', '-c', 'SELECT pg_sleep(60)', '--builtin', '--url', url], { env: alone });
  await until(
    async () =>
      (await askNumber(
        instance,
        'postgres',
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND usename = 'app'",
      )) > 0,
    () => waiting.words(),
  );
  expect(await readFile(`/proc/${waiting.pid}/cmdline`, 'utf8'), 'a password that was typed is in no title').not.toContain('secret');
  await waiting.stop();
  await running.stop();
});
