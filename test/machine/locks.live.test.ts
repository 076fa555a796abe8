import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { spawnChild } from '../../src/machine/child.ts';
import { createLocks } from '../../src/machine/locks.ts';

const locks = createLocks({ PATH: process.env['PATH'] ?? '' });

const folders: string[] = [];
const pids: number[] = [];
afterEach(() => {
  for (const pid of pids.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {} // Already gone, which is what most tests want.
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const lockPath = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'dbkit-lock-'));
  folders.push(folder);
  return join(folder, 'lock');
};

/** Another process that holds the lock until it is killed: what a second container on the same volume looks like to the kernel. */
async function otherHolder(path: string): Promise<number> {
  const child = spawn('flock', ['-x', path, 'sh', '-c', 'echo held; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  pids.push(child.pid!);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child.pid!;
}

test('who comes second is refused with the holder’s name', async () => {
  const path = lockPath();
  const first = await locks.acquire(path, 'dbkit entrypoint');
  await expect(locks.acquire(path, 'another')).rejects.toMatchObject({
    code: 'lock.held',
    message: expect.stringContaining(`pid ${process.pid}`),
  });
  await first.release();
  await (await locks.acquire(path, 'another')).release();
});

test('a pipe in place of the lock file is refused, and nobody waits for it', async () => {
  const path = lockPath();
  execFileSync('mkfifo', [path]);
  await expect(locks.acquire(path, 'dbkit entrypoint')).rejects.toMatchObject({ code: 'file.exists' });
});

test('a holder in another process is seen', async () => {
  const path = lockPath();
  await otherHolder(path);
  await expect(locks.acquire(path, 'late')).rejects.toMatchObject({ code: 'lock.held' });
});

test('a child that got the descriptor keeps the lock after the parent let go, and the kernel frees it with the child', async () => {
  const path = lockPath();
  const lock = await locks.acquire(path, 'parent');
  const child = await spawnChild({ file: 'sleep', args: ['60'], env: {}, output: { appendTo: '/dev/null' }, newSession: true, lock });
  pids.push(child.pid);
  await lock.release();
  await expect(locks.acquire(path, 'next')).rejects.toMatchObject({ code: 'lock.held' });
  child.kill('SIGKILL');
  await child.exited;
  await (await locks.acquire(path, 'next')).release();
});

test('the lock file names its holder', async () => {
  const path = lockPath();
  const lock = await locks.acquire(path, 'dbkit entrypoint');
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ what: 'dbkit entrypoint', pid: process.pid });
  await lock.release();
});

const never = new AbortController().signal;

test('those who come at once take the turns there are, the next one waits for a turn that ends', async () => {
  const paths = [lockPath(), lockPath()];
  const [first, second] = [await locks.turn(paths, 0, never), await locks.turn(paths, 0, never)];
  expect(new Set([first?.path, second?.path])).toEqual(new Set(paths));
  expect(statSync(paths[0]!).mode & 0o777).toBe(0o600); // Whoever could open it could keep everybody waiting.
  const third = locks.turn(paths, 60_000, never);
  await Promise.all([first?.release(), second?.release()]);
  const last = await third;
  expect(paths).toContain(last?.path);
  await last?.release();
});

test('whoever waited long enough goes on without a turn, and so does whoever is told to stop', async () => {
  const path = lockPath();
  await otherHolder(path);
  expect(await locks.turn([path], 50, never)).toBeUndefined();
  expect(await locks.turn([path], 60_000, AbortSignal.abort())).toBeUndefined();
});

test('where there is no folder for it, nobody takes turns', async () => {
  expect(await locks.turn(['/nowhere/turn'], 60_000, never)).toBeUndefined();
});
