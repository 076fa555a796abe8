import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createGuard } from '../../src/cluster/member/guard.ts';
import { readMemberFile } from '../../src/cluster/member/member-file.ts';
import { createPatroniKeeper } from '../../src/cluster/member/patroni-keeper.ts';
import { setMemberAside } from '../../src/cluster/member/set-aside-member.ts';
import type { AskPatroni } from '../../src/cluster/patroni.ts';
import { memberSettings } from '../../src/config/ha-settings.ts';
import { layerConfig } from '../../src/config/layers.ts';
import type { Child, Clock, ExitReason } from '../../src/kernel/machine.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { refuseMember } from '../../src/monitor/mend-server.ts';
import { recorded } from './fake-cluster.ts';

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-member-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a member says in its patroni.yml who it is; Patroni’s variables win over the file', async () => {
  const path = join(folder, 'patroni.yml');
  writeFileSync(path, 'scope: shop\nname: n1\nrestapi: {listen: "0.0.0.0:8008"}\npostgresql: {data_dir: /data, use_pg_rewind: on}\n');
  expect(await readMemberFile(path, {})).toEqual({ name: 'n1', scope: 'shop', api: 'http://127.0.0.1:8008', dataDir: '/data' });
  expect(await readMemberFile(path, { PATRONI_NAME: 'n2' })).toMatchObject({ name: 'n2' });
  writeFileSync(path, 'scope: shop\n');
  await expect(readMemberFile(path, {})).rejects.toMatchObject({ code: 'config.invalid' });
  writeFileSync(path, 'scope: shop\n  password: "hunter2\n');
  const broken = await readMemberFile(path, {}).catch((cause: unknown) => cause);
  expect(broken).toMatchObject({ code: 'config.invalid' });
  expect(inspect(broken, { depth: 9 })).not.toContain('hunter2');
});

test('services.patroni with a file of Patroni is a member; with a command it is a service like others', () => {
  const read = (services: object) => layerConfig({ file: { path: '/dbkit.yaml', value: { services } }, environment: [], flags: [] }).config;
  expect(memberSettings(read({ patroni: { config: '/etc/patroni/config.yml' } }))).toMatchObject({ command: ['patroni'], guard: true });
  expect(memberSettings(read({ patroni: { command: ['patroni', '/x.yml'] } }))).toBeUndefined();
  expect(() => read({ other: { config: '/etc/patroni/config.yml' } })).toThrow(/only 'patroni'/);
});

test('a Patroni that ends is started again; one that ends at once again and again is given up', async () => {
  const ends: ((exit: ExitReason) => void)[] = [];
  let started = 0;
  const spawn = async (): Promise<Child> => {
    started += 1;
    const exited = started === 1 ? new Promise<ExitReason>((resolve) => ends.push(resolve)) : Promise.resolve({ code: 1, signal: null });
    return { pid: 1_000_000 + started, exited, kill: () => ends[0]?.({ code: null, signal: 'SIGKILL' }) };
  };
  const quick: Clock = { ...clock, sleep: async () => undefined };
  const keeper = createPatroniKeeper({ clock: quick, log: silent, spawn, beforeStart: async () => undefined });
  const kept = keeper.keep(new AbortController().signal);
  await new Promise(setImmediate);
  expect(keeper.pid()).toBe(1_000_001);
  keeper.kill('SIGKILL');
  await expect(kept).rejects.toMatchObject({ code: 'service.failed', message: expect.stringContaining('8 times in a row') });
  expect(started).toBe(8);
});

/** A clock that goes as far as whoever waits wants. */
function handClock(): Clock {
  let nowMs = 0;
  const sleep = async (ms: number): Promise<void> => {
    nowMs += ms;
  };
  return { now: () => new Date(nowMs), monotonicMs: () => nowMs, sleep };
}

test('a Patroni that says nothing for three seconds is killed once, and then has ten to answer', async () => {
  const over = new AbortController();
  const time = handClock();
  const kills: number[] = [];
  const document = recorded('3.0.2', 'patroni-n2') as object;
  let answers = 0;
  const ask: AskPatroni = async (_member, path) => {
    if (time.monotonicMs() > 20_000) over.abort();
    if (path === '/patroni') answers += 1;
    const isAnswered = answers === 1 && path === '/patroni';
    return {
      status: isAnswered ? 200 : null,
      json: isAnswered ? { ...document, dcs_last_seen: 1 } : undefined,
      text: '',
      sentAt: new Date(1000),
    };
  };
  const member = { name: 'n1', scope: 'shop', api: 'http://127.0.0.1:1', dataDir: folder };
  const guard = createGuard({ clock: time, log: silent, ask, member, killPatroni: () => kills.push(time.monotonicMs()) });
  guard.started(true);
  guard.ready();
  await guard.watch(over.signal);
  expect(kills).toEqual([3_250, 13_500]);
  expect(guard.isLeaseHeld()).toBe(false);
});

test('data that is set aside is whole, and the directory is empty afterwards', async () => {
  const dataDir = join(folder, 'data');
  for (const name of ['global', 'base']) mkdirSync(join(dataDir, name), { recursive: true });
  writeFileSync(join(dataDir, 'PG_VERSION'), '15\n');
  const owner = { uid: process.getuid!(), gid: process.getgid!(), name: 'me', home: '/' };
  const files = createFiles(silent as unknown as Parameters<typeof createFiles>[0]);
  const needs = { files, clock, reached: () => undefined };
  const quarantine = await setMemberAside({ dataDir, backupDir: join(folder, 'backup'), owner }, needs);
  expect(quarantine).toMatch(/backup\/quarantine\/corrupt_\d{8}_\d{6}$/);
  expect(readFileSync(join(quarantine, 'PG_VERSION'), 'utf8')).toBe('15\n');
  expect(readdirSync(dataDir)).toEqual([]);
});

test('the monitor of a member touches nothing: Patroni runs its server', () => {
  const read = (services: object) => layerConfig({ file: { path: '/dbkit.yaml', value: { services } }, environment: [], flags: [] }).config;
  expect(() => refuseMember(read({ patroni: { config: '/etc/patroni/config.yml' } }))).toThrow(/only Patroni starts or rebuilds it/);
  expect(() => refuseMember(read({}))).not.toThrow();
});
