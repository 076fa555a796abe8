import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/processes.ts';
import { isInstalled, watchedInstance } from './watched.ts';

const rules = resolve('deploy/grafana/alerts.yaml');

test.skipIf(!isInstalled('promtool') || !isInstalled('prometheus'))('a Prometheus watches the monitor (Debian: prometheus)', async () => {
  const watched = await watchedInstance();
  const metrics = await (await fetch(`${watched.url}/metrics`)).text();
  const checked = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
  expect(checked, checked.stderr).toMatchObject({ status: 0, stderr: '' });
  expect(spawnSync('promtool', ['check', 'rules', rules], { encoding: 'utf8' })).toMatchObject({ status: 0 });

  const wanted = `${readFileSync('deploy/grafana/dashboard.json', 'utf8')}${readFileSync(rules, 'utf8')}`;
  const given = new Set([...metrics.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  expect([...new Set([...wanted.matchAll(/dbkit_[a-z_]+/g)].map(([name]) => name))].filter((name) => !given.has(name))).toEqual([]);

  const directory = mkdtempSync(join(tmpdir(), 'dbkit-prometheus-'));
  const port = await freePort();
  const quick = join(directory, 'alerts.yaml');
  writeFileSync(quick, readFileSync(rules, 'utf8').replaceAll(/for: \d+[mh]/g, 'for: 1s'));
  writeFileSync(
    join(directory, 'prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [quick],
      scrape_configs: [{ job_name: 'dbkit', static_configs: [{ targets: [watched.url.replace('http://', '')] }] }],
    }),
  );
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  onTestFinished(async () => {
    const ended = new Promise((done) => child.once('exit', done));
    child.kill();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });
  const ask = async (expression: string): Promise<string | undefined> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`).catch(() => undefined);
    const { data } = ((await answer?.json()) as { data?: { result: { value: [number, string] }[] } }) ?? {};
    return data?.result[0]?.value[1];
  };
  await until(
    async () => (await ask('up{job="dbkit"}')) === '1',
    () => 'Prometheus does not scrape it',
  );
  await until(
    async () => (await ask('dbkit_backups{state="proven"}')) === '1',
    () => 'no backup is counted',
  );
  const firing = (alert: string) => ask(`ALERTS{alertname="${alert}",alertstate="firing"}`);
  expect(await firing('PostgresqlDown')).toBeUndefined();
  await watched.running.stop('SIGKILL');
  await until(
    async () => (await firing('DbkitSilent')) === '1',
    () => 'nobody is told that the monitor is gone',
  );
});
