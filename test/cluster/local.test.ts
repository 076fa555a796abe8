import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endLocal } from '../../src/cluster/local/down.ts';
import { hostsOf } from '../../src/cluster/local/hosts.ts';
import { localPlan, portsTaken } from '../../src/cluster/local/local-plan.ts';
import { localNeeds, readLocal, runningOf, writeLocal } from '../../src/cluster/local/local-state.ts';
import { inNetwork } from '../../src/cluster/local/networks.ts';
import { refuseTakenPorts } from '../../src/cluster/local/programs.ts';
import { startedTicks } from '../../src/cluster/processes.ts';
import { dynamicDocument } from '../../src/cluster/render/documents.ts';
import type { Identity } from '../../src/kernel/machine.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { fakeCluster } from './fake-cluster.ts';

const files = createFiles({ warn: () => undefined } as unknown as Parameters<typeof createFiles>[0]);
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-local-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('going down ends what was started, and no other program that has got one of the pids since', async () => {
  const [ours, other] = [spawn('sleep', ['60']), spawn('sleep', ['60'])];
  try {
    const processes = [
      { name: 'haproxy', pid: ours.pid!, startedTicks: (await startedTicks(ours.pid!))! },
      { name: 'n1', pid: other.pid!, startedTicks: '1' },
    ];
    await writeLocal(files, folder, { schema: 'dbkit.ha-cluster/v1', port: 15_400, members: 2, password: 'x', processes });
    expect((await runningOf((await readLocal(files, folder))!)).map(({ name }) => name)).toEqual(['haproxy']);
    const gone = once(ours, 'exit');
    expect(await endLocal({ clock, files }, folder)).toEqual({ folder, stopped: ['haproxy'] });
    expect(await gone).toEqual([null, 'SIGTERM']);
    expect(other.exitCode ?? other.signalCode).toBeNull();
    expect((await readLocal(files, folder))!.processes).toEqual([]);
  } finally {
    ours.kill('SIGKILL');
    other.kill('SIGKILL');
  }
});

test('where nothing was ever started nothing is ended', async () => {
  mkdirSync(join(folder, 'n1'));
  expect(await endLocal({ clock, files }, folder)).toEqual({ folder, stopped: [] });
});

test('a folder of any name is one word for whoever calls dbkit from it', async () => {
  const { needs, close } = await fakeCluster('3.0.2');
  const strange = "/srv/it's 100%p";
  const wish = { folder: strange, port: 15_400, members: 1, patroniVersion: '3.0.2', binDir: '/bin', program: [`${strange}/dbkit.js`] };
  const plan = localPlan(wish, needs.config);
  await close();
  const wordsOf = (command: string): readonly string[] =>
    spawnSync('sh', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' })
      .stdout.trimEnd()
      .split('\n');
  expect(wordsOf(plan.backups!.dbkit('n1'))).toEqual([`${strange}/dbkit.js`, '--config', `${strange}/n1.json`]);
  const { postgresql } = dynamicDocument(plan) as { postgresql: { parameters: { archive_command: string } } };
  const replaced = postgresql.parameters.archive_command.replace(/%(.)/g, (_all, name: string) => (name === 'p' ? 'pg_wal/1' : name)); // As PostgreSQL does.
  expect(wordsOf(replaced)).toEqual([`${strange}/dbkit-wal`, '-d', `${strange}/backup`, 'push', 'pg_wal/1']);
});

test('members that are apart have an address each, the same for whoever asks them, and none of another cluster’s', async () => {
  const { needs, close } = await fakeCluster('4.0.7');
  await close();
  const plan = localPlan({ folder, port: 15_400, members: 3, patroniVersion: '4.0.7', binDir: '/bin', apart: true }, needs.config);
  const hosts = plan.members.map(({ server }) => server.host);
  expect(new Set([...hosts, plan.writes.host]).size).toBe(4);
  const state = { schema: 'dbkit.ha-cluster/v1', port: 15_400, members: 3, password: 'x', processes: [], apart: true } as const;
  const { ha } = localNeeds(needs, { ...state, processes: [] }).config;
  expect(Object.values(ha.members).map(({ server }) => server)).toEqual(plan.members.map(({ server }) => `${server.host}:${server.port}`));
  expect(ha.writeAddress).toBe(`${plan.writes.host}:${plan.writes.port}`);
  expect(hostsOf({ port: 15_500, apart: true }).hub).not.toBe(hostsOf({ port: 15_400, apart: true }).hub);
  const command = { name: 'n2', file: '/usr/bin/patroni', args: ['n2.yml'], env: {} };
  expect(inNetwork(command, { port: 15_400, isMember: true }, { uid: 7, gid: 8 } as Identity).args).toEqual([
    '--net=/run/netns/dbkit-15400-n2',
    '--setuid',
    '7',
    '--setgid',
    '8',
    '--',
    '/usr/bin/patroni',
    'n2.yml',
  ]);
});

test('each program has a port of its own, and a port of somebody else’s is named before anything starts', async () => {
  const { needs, close } = await fakeCluster('3.0.2');
  const plan = localPlan({ folder, port: 15_400, members: 9, patroniVersion: '3.0.2', binDir: '/bin' }, needs.config);
  const ports = portsTaken(plan);
  expect(new Set(ports).size).toBe(ports.length);
  expect(plan).toMatchObject({ storeApi: 2, settings: { isSynchronous: true } });
  const here = localNeeds(needs, { schema: 'dbkit.ha-cluster/v1', port: 15_400, members: 9, password: 'x', processes: [] });
  expect(Object.values(here.config.ha.members).map(({ server }) => server)).toEqual(
    plan.members.map(({ server }) => `127.0.0.1:${server.port}`),
  );
  await close();
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await expect(refuseTakenPorts([port])).rejects.toMatchObject({ code: 'port.in-use', message: expect.stringContaining(String(port)) });
  server.close();
});
