import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { claimDirectory } from '../../src/instance/owner.ts';
import type { System, Tool } from '../../src/kernel/machine.ts';

const mayWrite = vi.hoisted(() => ({ answer: true }));
vi.mock('node:fs/promises', async (original) => ({
  ...(await original<typeof import('node:fs/promises')>()),
  access: async () => {
    if (!mayWrite.answer) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
  },
}));

/** Claims a directory that is there already and belongs to somebody else; the words that sudo was asked with. */
async function claim(mode: number, { writable, sudo }: { writable: boolean; sudo: boolean }): Promise<readonly string[]> {
  const path = await mkdtemp(join(tmpdir(), 'dbkit-owner-'));
  onTestFinished(() => rm(path, { recursive: true }));
  mayWrite.answer = writable;
  const asked: string[] = [];
  const me = { uid: 54_321, gid: 54_321, name: 'me', home: '/' };
  const system = {
    self: me,
    files: { makeDirectory: async () => undefined },
    runner: {
      attempt: async ({ file, args }: Tool) => {
        asked.push([file, ...args].join(' ').replace(path, 'DIR'));
        return { exitCode: sudo ? 0 : 1, stdout: '', stderr: '' };
      },
    },
    log: { info: () => undefined },
  } as unknown as System;
  await claimDirectory(path, me, mode, system, new AbortController().signal);
  return asked;
}

const INSTALL = 'sudo --non-interactive install --directory --owner=54321 --group=54321';

test('a log directory of somebody else that can be written to stays his', async () => {
  expect(await claim(0o755, { writable: true, sudo: true })).toEqual([]);
});

test('one that cannot is claimed through sudo, as bind mounts of another user are', async () => {
  expect(await claim(0o755, { writable: false, sudo: true })).toEqual([`${INSTALL} --mode=755 DIR`]);
});

test('without sudo it is left to whoever writes there to say what failed', async () => {
  expect(await claim(0o755, { writable: false, sudo: false })).toHaveLength(1);
});

test('data of somebody else is claimed whether it can be written to or not, or refused', async () => {
  expect(await claim(0o700, { writable: true, sudo: true })).toEqual([`${INSTALL} --mode=700 DIR`]);
  await expect(claim(0o700, { writable: true, sudo: false })).rejects.toMatchObject({ code: 'data.owner' });
});
