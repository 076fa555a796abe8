import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { configFileElsewhere, debianCluster, debianClusterOf, debianConfigurations } from '../../src/instance/external-configuration.ts';

async function folders(): Promise<{ etc: string; data: string }> {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-unit-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const data = join(root, 'data');
  await mkdir(data);
  for (const [cluster, names] of [
    ['9/old', '/elsewhere'],
    ['15/main', `${data}/`],
  ] as const) {
    await mkdir(join(root, 'etc', cluster), { recursive: true });
    await writeFile(join(root, 'etc', cluster, 'postgresql.conf'), `data_directory = '${names}'\nport = 5433\n`);
  }
  return { etc: join(root, 'etc'), data };
}

test('a cluster of Debian’s that never ran, or was just restored, is known by the data directory its configuration names', async () => {
  const { etc, data } = await folders();
  expect(await configFileElsewhere(data, etc)).toBe(join(etc, '15/main/postgresql.conf'));
  expect(await configFileElsewhere(join(data, 'other'), etc)).toBeUndefined();
  expect((await debianConfigurations(etc)).map(({ path }) => debianClusterOf(path))).toEqual([
    { version: '9', name: 'old' },
    { version: '15', name: 'main' },
  ]);
});

test('a cluster is asked for by name, and a wrong name is told the right ones', async () => {
  const { etc } = await folders();
  expect((await debianCluster('15/main', etc)).settings.get('port')).toBe('5433');
  await expect(debianCluster('15/min', etc)).rejects.toMatchObject({ code: 'usage.invalid', hint: 'there are: 9/old, 15/main' });
});

test('what the server was started with comes first, and a file in PGDATA before Debian’s folders', async () => {
  const { etc, data } = await folders();
  await writeFile(join(data, 'postgresql.conf'), '');
  expect(await configFileElsewhere(data, etc)).toBeUndefined();
  await writeFile(join(data, 'postmaster.opts'), '/usr/bin/postgres "-D" "/data" "-c" "config_file=/srv/pg/postgresql.conf"\n');
  expect(await configFileElsewhere(data, etc)).toBe('/srv/pg/postgresql.conf');
  expect(debianClusterOf('/srv/pg/postgresql.conf')).toBeUndefined();
});
