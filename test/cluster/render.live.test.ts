import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type RenderedCluster, renderCluster } from '../../src/cluster/render/render.ts';
import { memberSettings } from '../../src/config/ha-settings.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { createFiles } from '../../src/machine/files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-render-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const members = Object.fromEntries([1, 2, 3].map((n) => [`n${n}`, { api: `http://192.0.2.${n}:8008` }]));
type Wish = { readonly member?: string; readonly to?: string; readonly patroniVersion?: string; readonly guard?: boolean };

function render(wish: Wish = {}, ha: object = { members }, environment: Readonly<Record<string, string>> = {}): Promise<RenderedCluster> {
  const variables = Object.entries(environment).map(([name, text]) => ({
    name,
    text,
    from: { kind: 'environment', variable: name } as const,
  }));
  const { config, origins } = layerConfig({ file: { path: '/dbkit.yaml', value: { ha } }, environment: variables, flags: [] });
  const log = { warn: () => undefined };
  const needs = { config, origins, files: createFiles(log as unknown as Parameters<typeof createFiles>[0]) };
  return renderCluster(needs, { member: undefined, to: undefined, patroniVersion: '4.0.7', guard: true, ...wish });
}
const text = ({ files }: RenderedCluster, name: string): string => files.find((file) => file.name === name)!.text;

test.each(['3.0.2', '4.0.7'])(
  'for Patroni %s: what is rendered holds nothing that the linter knows as dangerous, and no password',
  async (patroniVersion) => {
    const rendered = await render({ patroniVersion });
    expect(rendered.findings).toEqual([]);
    expect(text(rendered, 'n1/patroni.yml')).toContain(patroniVersion === '3.0.2' ? 'etcd:' : 'etcd3:');
    expect(text(rendered, 'n2/etcd.yml').includes('enable-v2: true')).toBe(patroniVersion === '3.0.2');
    expect(text(rendered, 'n1/patroni.yml')).toMatch(/wal_log_hints: "on"/); // Unquoted, PyYAML would read true.
    expect(rendered.files.map(({ text: all }) => all).join('\n')).not.toMatch(/password: |PASSWORD=\S/);
    expect(rendered.files.filter(({ name }) => name.endsWith('passwords.env')).map(({ mode }) => mode)).toEqual(['0600', '0600', '0600']);
  },
);

test('the names of the environment become Patroni’s settings, and the linter says where they break the target', async () => {
  const rendered = await render(
    {},
    {},
    {
      HA_MEMBERS: 'a=http://192.0.2.1:8008,b=http://192.0.2.2:8008',
      AUTO_FAILOVER: 'false',
      FAILOVER_CHECK_INTERVAL: '10',
      FAILOVER_TIMEOUT: '60',
      MAX_REPLICATION_LAG: '64MB',
    },
  );
  const member = text(rendered, 'b/patroni.yml');
  expect(member).toMatch(
    /ttl: 60\n *loop_wait: 10\n *retry_timeout: 5\n *maximum_lag_on_failover: 67108864\n *primary_start_timeout: 300\n/,
  );
  expect(member).toMatch(/synchronous_mode: false\n *failsafe_mode: true\n *pause: true\n/);
  const ids = rendered.findings.map(({ id }) => id);
  expect(ids).toEqual(expect.arrayContaining(['failover-slower-than-target', 'failover-left-off', 'lag-limit-loses-much', 'store-of-one']));
  await expect(render({}, { members, failoverTimeoutSeconds: 4, checkIntervalSeconds: 3 })).rejects.toMatchObject({
    code: 'config.invalid',
  });
  await expect(render({}, { members: { n1: { api: 'https://192.0.2.1:8008' } } })).rejects.toMatchObject({ code: 'config.invalid' });
});

test('a member runs under dbkit with its guard, from a file that dbkit itself takes; or Patroni alone', async () => {
  const rendered = await render({}, { members, backupFrom: 'leader' });
  expect(text(rendered, 'n2/patroni.service')).toContain('ExecStart=/usr/bin/env dbkit entrypoint --strict --config /etc/dbkit/dbkit.yaml');
  const { config } = layerConfig({
    file: { path: '/dbkit.yaml', value: parse(text(rendered, 'n2/dbkit.yaml')) },
    environment: [],
    flags: [],
  });
  expect(memberSettings(config)).toMatchObject({ config: '/etc/patroni/config.yml', guard: true });
  expect(config.stopSeconds).toBeLessThan(60);
  expect(Object.keys(config.ha.members)).toEqual(['n1', 'n2', 'n3']);
  expect(config.ha.backupFrom, 'every member goes by the same').toBe('leader');
  const alone = await render({ guard: false });
  expect(text(alone, 'n2/patroni.service')).toContain('ExecStart=/usr/bin/patroni /etc/patroni/config.yml');
  expect(alone.files.map(({ name }) => name)).not.toContain('n2/dbkit.yaml');
  expect(alone.findings).toEqual([]);
});

test.each(['3.0.2', '4.0.7'])(
  'where a backup folder is named, Patroni %s makes replicas of backups and archives WAL',
  async (patroniVersion) => {
    const rendered = await render({ patroniVersion }, { members }, { BACKUP_DIR: '/srv/db backups' });
    expect(rendered.findings).toEqual([]);
    const member = parse(text(rendered, 'n2/patroni.yml'), { version: '1.1' }) as {
      readonly postgresql: object;
      readonly bootstrap: { readonly dcs: { readonly postgresql: object } };
    };
    expect(member.postgresql).toMatchObject({
      create_replica_methods: ['dbkit', 'basebackup'],
      dbkit: { command: 'dbkit --config /etc/dbkit/dbkit.yaml ha create-replica', keep_data: true, no_leader: true },
    });
    expect(member.bootstrap.dcs.postgresql).toMatchObject({
      parameters: { archive_mode: 'on', archive_command: `dbkit-wal -d '/srv/db backups' push "%p"` },
      recovery_conf: { restore_command: `dbkit-wal -d '/srv/db backups' -s fetch "%f" "%p"` },
    });
    expect(text(rendered, 'n2/dbkit.yaml')).toContain('backupDir: /srv/db backups');
    expect(text(await render(), 'n2/patroni.yml')).not.toMatch(/archive|create_replica/);
    expect(text(await render({ guard: false }, { members }, { BACKUP_DIR: '/srv/b' }), 'n2/patroni.yml')).not.toMatch(
      /archive|create_replica/,
    );
  },
);

test('a folder gets one folder for each machine; a file that is not dbkit’s, and filled in passwords, stay as they are', async () => {
  await render({ to: folder });
  expect(statSync(join(folder, 'n1/passwords.env')).mode & 0o777).toBe(0o600);
  await render({ to: folder, member: 'n1' }, { members, failoverTimeoutSeconds: 24 });
  expect(readFileSync(join(folder, 'n1/patroni.yml'), 'utf8')).toContain('ttl: 24');
  expect(readFileSync(join(folder, 'n2/patroni.yml'), 'utf8')).toContain('ttl: 20');
  writeFileSync(join(folder, 'n1/passwords.env'), '# Made by `dbkit ha render`\nPATRONI_SUPERUSER_PASSWORD=mine\n');
  await expect(render({ to: folder })).rejects.toMatchObject({ code: 'file.exists' });
  expect(readFileSync(join(folder, 'n1/patroni.yml'), 'utf8')).toContain('ttl: 24');
  expect(readFileSync(join(folder, 'n1/passwords.env'), 'utf8')).toContain('=mine');
});

test.skipIf(!existsSync('/usr/bin/patroni') || !existsSync('/usr/sbin/haproxy'))(
  'Patroni and HAProxy take what is rendered for them',
  async () => {
    const version = execFileSync('/usr/bin/patroni', ['--version'], { encoding: 'utf8' }).trim().split(' ')[1]!;
    await render({ to: folder, patroniVersion: version });
    const haproxy = spawnSync('/usr/sbin/haproxy', ['-c', '-f', join(folder, 'router/haproxy.cfg')], { encoding: 'utf8' });
    expect({ status: haproxy.status, said: haproxy.stderr }).toMatchObject({ status: 0 });
    const patroni = spawnSync('/usr/bin/patroni', ['--validate-config', join(folder, 'n1/patroni.yml')], { encoding: 'utf8' });
    // It also wants what only the member's own machine has: its address, its etcd, its programs.
    const ofMachine = /192\.0\.2\.1|etcd3?\.hosts|is not reachable|data_dir|didn't contain|bin_dir|^\s*$/;
    const complaints = `${patroni.stdout}${patroni.stderr}`.split('\n').filter((line) => !ofMachine.test(line));
    expect(complaints).toEqual([]);
  },
);
