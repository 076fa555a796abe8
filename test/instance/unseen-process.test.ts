import { type ChildProcess, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { fenceServer, stopServer, writableServerOn } from '../../src/cluster/member/fence.ts';
import { leftPatroni } from '../../src/cluster/member/orphan.ts';
import { childrenOf, lives, startedTicks } from '../../src/cluster/processes.ts';
import { clearStaleSocket } from '../../src/instance/guard/ports.ts';
import { serverOn } from '../../src/instance/guard/preflight.ts';
import { mayBeServer, programOf } from '../../src/instance/guard/program-of.ts';
import { serversIn } from '../../src/instance/guard/servers-in.ts';
import { isWholeWithoutSync } from '../../src/instance/initialize/marker.ts';
import { mountAround, mountsBelow } from '../../src/instance/mounts.ts';
import { holdsNothing, isUnmounted } from '../../src/instance/places.ts';
import type { Logger } from '../../src/kernel/machine.ts';
import { clock } from '../../src/machine/clock.ts';
import { freeze, until } from '../harness/processes.ts';

/** While `code` is set, every look below `folder` ends with this error of the system, but for the first few. */
const trouble = vi.hoisted(() => ({ code: '', folder: '/proc', spares: 0 }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const failing =
    (name: 'open' | 'readFile' | 'readdir' | 'readlink') =>
    (path: string, ...rest: never[]) =>
      trouble.code !== '' && `${path}/`.startsWith(`${trouble.folder}/`) && --trouble.spares < 0
        ? Promise.reject(Object.assign(new Error(trouble.code), { code: trouble.code }))
        : (real[name] as (...all: unknown[]) => unknown)(path, ...rest);
  return { ...real, open: failing('open'), readFile: failing('readFile'), readdir: failing('readdir'), readlink: failing('readlink') };
});

const OWN = ['EMFILE', 'ENFILE', 'ENOMEM'] as const;
const silent = (): void => undefined;
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent, progress: silent };
const signal = new AbortController().signal;

async function folderWithPid(pid: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-unseen-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'postmaster.pid'), `${pid}\n${folder}\n`);
  return folder;
}

/** A process that /proc shows as a server of a data directory. */
async function standIn(): Promise<{ readonly dataDir: string; readonly server: ChildProcess; readonly pid: number }> {
  const dataDir = await folderWithPid(0);
  await copyFile('/bin/sleep', join(dataDir, 'postgres'));
  const server = spawn(join(dataDir, 'postgres'), ['600'], { cwd: dataDir, stdio: 'ignore' });
  onTestFinished(() => void server.kill('SIGKILL'));
  const pid = server.pid!;
  await writeFile(join(dataDir, 'postmaster.pid'), `${pid}\n${dataDir}\n`);
  await until(
    async () => (await programOf(pid)) === 'postgres',
    () => 'it does not start',
  );
  return { dataDir, server, pid };
}
/** What `serverOn` reads of a process. */
const LOOKS_OF_SERVER_ON = 3;

beforeEach(() => {
  Object.assign(trouble, { code: '', folder: '/proc', spares: 0 });
});

describe('who is short of descriptors sees nothing, and takes nothing for gone', () => {
  const looks: readonly (readonly [name: string, look: (folder: string) => Promise<unknown>, whereNoneIs: unknown])[] = [
    ['the program of a process', () => programOf(process.pid), undefined],
    ['the server of a data directory', (folder) => serverOn(folder), 'stale'],
    ['the servers in a directory', (folder) => serversIn(folder), []],
    ['the start of a process', () => startedTicks(process.pid), undefined],
    ['a process by its start', () => lives({ pid: process.pid, startedTicks: '1' }), false],
    ['the children of a process', () => childrenOf(process.pid), []],
    ['a Patroni that was left', (folder) => leftPatroni(folder), undefined],
    ['the mount around a path', (folder) => mountAround(folder), undefined],
    ['the mounts below a path', (folder) => mountsBelow(folder), []],
    ['a new cluster that is not synced', (folder) => isWholeWithoutSync(join(folder, 'marker')), false],
  ];
  test.each(looks)('%s', async (_, look, whereNoneIs) => {
    const folder = await folderWithPid(process.pid);
    await writeFile(join(folder, 'marker'), JSON.stringify({ startedAt: '2026-11-20T00:00:00Z', replaced: null, bootId: 'another' }));
    for (const code of OWN) {
      trouble.code = code;
      await expect(look(folder)).rejects.toMatchObject({ code });
    }
    trouble.code = 'ENOENT';
    expect(await look(folder)).toEqual(whereNoneIs);
  });

  test('the end of a server is waited for until it is seen', async () => {
    expect(await mayBeServer(process.pid)).toBe(false);
    trouble.code = 'EMFILE';
    expect(await mayBeServer(process.pid)).toBe(true);
    trouble.code = 'ENOENT';
    expect(await mayBeServer(process.pid)).toBe(false);
  });

  test('a place that was remembered is not forgotten where it cannot be read', async () => {
    const folder = await folderWithPid(1);
    Object.assign(trouble, { folder });
    for (const code of [...OWN, 'EIO']) {
      trouble.code = code;
      await expect(holdsNothing(folder)).rejects.toMatchObject({ code });
    }
    trouble.code = 'EACCES';
    expect(await holdsNothing(folder), 'somebody else’s').toBe(false);
    trouble.code = '';
    await mkdir(join(folder, 'places.json'));
    await expect(isUnmounted(folder, folder)).rejects.toThrow();
  });
});

describe('the end of a server whose guard is short of descriptors', () => {
  test('a fence ends whom it saw, and says that it could not see the rest', async () => {
    const { dataDir, server, pid } = await standIn();
    await freeze(pid);
    Object.assign(trouble, { code: 'EMFILE', spares: LOOKS_OF_SERVER_ON });
    await expect(fenceServer(dataDir, clock)).rejects.toMatchObject({ code: 'EMFILE' });
    trouble.code = '';
    await until(
      () => server.signalCode === 'SIGKILL',
      () => 'it was not ended',
    );
    expect(await fenceServer(dataDir, clock)).toBeUndefined();
  });

  test('a server that hangs has not stopped because nobody could look', async () => {
    const { dataDir, server, pid } = await standIn();
    await freeze(pid);
    Object.assign(trouble, { code: 'EMFILE', spares: LOOKS_OF_SERVER_ON });
    await expect(stopServer(dataDir, { timeoutMs: 50, clock, signal })).rejects.toMatchObject({ code: 'EMFILE' });
    trouble.code = '';
    expect(await programOf(pid)).toBe('postgres');
    expect(await stopServer(dataDir, { timeoutMs: 50, clock, signal })).toBe(pid);
    await until(
      () => server.signalCode !== null,
      () => 'it was not ended',
    );
  });

  test('a server takes no writes by a proof alone', async () => {
    const { dataDir } = await standIn();
    expect(await writableServerOn(dataDir), 'no control file').toBeUndefined();
    await mkdir(join(dataDir, 'global'));
    await writeFile(join(dataDir, 'global/pg_control'), '');
    Object.assign(trouble, { code: 'EMFILE', folder: join(dataDir, 'global') });
    await expect(writableServerOn(dataDir)).rejects.toMatchObject({ code: 'EMFILE' });
  });
});

test('a pid file is stale by a proof alone', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dbkit-pid-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  expect(await serverOn(dataDir)).toBe('none');
  await writeFile(join(dataDir, 'postmaster.pid'), `${process.pid}\n${dataDir}\n`);
  expect(await serverOn(dataDir), 'this pid is not PostgreSQL').toBe('stale');
});

test('the socket of a server that cannot be looked at stays', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-socket-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const lock = join(folder, '.s.PGSQL.5432.lock');
  await writeFile(lock, `${process.pid}\n`);
  for (const code of OWN) {
    trouble.code = code;
    await expect(clearStaleSocket(folder, 5432, { log })).rejects.toMatchObject({ code });
  }
  trouble.code = '';
  expect(await readFile(lock, 'utf8')).toBe(`${process.pid}\n`);
});
