import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { serverOn } from '../../src/instance/guard/preflight.ts';
import { programOf } from '../../src/instance/guard/program-of.ts';

const trouble = vi.hoisted(() => ({ code: '' }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const readFile = (path: string, ...rest: never[]) =>
    trouble.code !== '' && String(path).startsWith('/proc/')
      ? Promise.reject(Object.assign(new Error(trouble.code), { code: trouble.code }))
      : real.readFile(path, ...rest);
  return { ...real, readFile };
});

test('a postmaster.pid is stale by a proof alone: a dbkit that is short of descriptors has none', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dbkit-pid-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  expect(await serverOn(dataDir)).toBe('none');
  await writeFile(join(dataDir, 'postmaster.pid'), `${process.pid}\n${dataDir}\n`);
  expect(await serverOn(dataDir), 'this pid is not PostgreSQL').toBe('stale');
  for (const code of ['EMFILE', 'ENFILE', 'ENOMEM']) {
    trouble.code = code;
    await expect(serverOn(dataDir)).rejects.toMatchObject({ code });
    expect(await programOf(process.pid)).toBeUndefined();
  }
  trouble.code = 'ENOENT';
  expect(await serverOn(dataDir), 'there is no such process').toBe('stale');
});
