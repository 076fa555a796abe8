import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lintFiles } from '../../src/cluster/lint/lint-files.ts';
import { type FakeCluster, fakeCluster } from './fake-cluster.ts';

const signal = new AbortController().signal;
let folder: string;
let cluster: FakeCluster | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-lint-'));
});
afterEach(async () => {
  await cluster?.close();
  rmSync(folder, { recursive: true, force: true });
});

const written = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

test('files are known by what they hold; those of a member are read as Patroni reads them', async () => {
  cluster = await fakeCluster('4.0.7');
  const member = written(
    'n1.yml',
    'scope: shop\nname: n1\netcd3: {host: 10.0.0.1:2379}\nrestapi: {listen: "10.0.0.1:8008"}\nbootstrap: {dcs: {ttl: 30, check_timeline: on}}\npostgresql: {data_dir: /var/lib/pg, authentication: {superuser: {password: x}}}\n',
  );
  chmodSync(member, 0o644);
  const files = [
    member,
    written('haproxy.cfg', 'listen write\n server n1 10.0.0.1:5432\n'),
    written('pgbouncer.ini', '[databases]\n* = host=x\n[pgbouncer]\nserver_login_retry = 1\n'),
    written('etcd.yml', 'name: e1\ndata-dir: /var/lib/etcd\n'),
    written('pg.service', '[Unit]\n[Service]\nExecStart=/usr/bin/pg_ctlcluster 15-main start\n'),
  ];
  const report = await lintFiles(cluster.needs, { files, patroniVersion: '3.0.2' }, signal);
  expect(report.files.map(({ kind }) => kind)).toEqual(['patroni', 'haproxy', 'pgbouncer', 'etcd', 'systemd']);
  expect(report).toMatchObject({ status: 'critical', sharedFrom: member, patroniVersion: '3.0.2' });
  const ids = report.findings.map(({ id }) => id);
  expect(ids).toEqual(expect.arrayContaining(['etcd3-loses-acknowledged-rows', 'api-open-to-all', 'password-readable-by-all']));
  expect(ids).toEqual(expect.arrayContaining(['route-without-check', 'pooler-cannot-pause', 'server-started-by-another']));
  expect(ids).not.toContain('old-leader-may-win');
});

test('a file that is none of them, is missing or no YAML is named, and nothing is said of the others', async () => {
  cluster = await fakeCluster('4.0.7');
  const { needs } = cluster;
  const lint = (file: string) => lintFiles(needs, { files: [file], patroniVersion: undefined }, signal);
  await expect(lint(join(folder, 'gone.yml'))).rejects.toMatchObject({
    code: 'config.invalid',
    message: expect.stringContaining('does not exist'),
  });
  await expect(lint(folder)).rejects.toMatchObject({ code: 'config.invalid' });
});

test.each(['3.0.2', '4.0.7'] as const)(
  'Patroni %s: without files the members say what they share, and which version reads it',
  async (version) => {
    cluster = await fakeCluster(version, (member) => (member === 'n1' ? null : undefined));
    const report = await lintFiles(cluster.needs, { files: [], patroniVersion: undefined }, signal);
    expect(report).toMatchObject({ patroniVersion: version, sharedFrom: expect.stringMatching(/^http:.*\/config$/) });
  },
);
