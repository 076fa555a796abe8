import { fstatSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { makeAsRoot } from '../../src/machine/hand-over.ts';
import { isRoot } from '../harness/as-user.ts';

const early: number[] = [];
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const fchmodSync: typeof fs.fchmodSync = (fd, mode) => {
    early.push(fstatSync(fd).mode & 0o777);
    fs.fchmodSync(fd, mode);
  };
  return { ...fs, fchmodSync };
});

test.skipIf(!isRoot)('a folder that all may pass lets them pass before it is handed over, and one that is private never', () => {
  const root = mkdtempSync(join(tmpdir(), 'dbkit-made-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const mode of [0o755, 0o700]) {
    early.length = 0;
    const path = join(root, `mode-${mode.toString(8)}`, 'state');
    expect(makeAsRoot(path, mode, { uid: 65_534, gid: 65_534 })).toBe(true);
    expect(early, 'another dbkit, which has put its rights down, looks for status.json meanwhile').toEqual([mode, mode]);
    expect(statSync(path)).toMatchObject({ uid: 65_534, gid: 65_534 });
  }
});
