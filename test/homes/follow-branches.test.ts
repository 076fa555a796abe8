import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { planHook } from '../../src/health/hooks/plan.ts';
import { afterCheckout } from '../../src/homes/git/after-checkout.ts';
import { followBranches, judgeCheckout, unfollowBranches } from '../../src/homes/git/follow-branches.ts';
import type { Logger } from '../../src/kernel/machine.ts';
import { createGit } from '../../src/machine/git.ts';
import { createRunner } from '../../src/machine/runner.ts';

const silent = (): void => undefined;
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent, progress: silent };
const signal = new AbortController().signal;
const program = ['/usr/bin/node', '/opt/dbkit.js'] as const;

async function repository() {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'dbkit-branches-')));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const env = { PATH: process.env['PATH'] ?? '', HOME: root, GIT_CONFIG_NOSYSTEM: '1' };
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@example.org'];
  const git = (...args: string[]): string => execFileSync('git', [...who, ...args], { cwd: root, env, encoding: 'utf8', stdio: 'pipe' });
  git('init', '-q', '-b', 'main');
  await writeFile(join(root, 'file'), 'one');
  git('add', 'file');
  git('commit', '-q', '-m', 'one');
  const needs = { git: createGit(createRunner(log, env)) };
  return { root, git, needs, judge: (flag?: string) => judgeCheckout(needs, { directory: root, flag }, signal) };
}

test('a checkout is followed where it was switched on, and only on a branch and in peace', async () => {
  const { root, git, needs, judge } = await repository();
  expect(await judge()).toMatchObject({ then: 'ignore', reason: 'auto-is-off' });
  const on = await followBranches(needs, { directory: root, program, flags: ['--local'] }, signal);
  expect(on).toMatchObject({ outcome: 'installed', path: join(root, '.git/hooks/post-checkout'), branch: 'main' });
  git('config', 'core.hooksPath', '/dev/null');
  git('checkout', '-q', '-b', 'feature/größer');
  expect(await judge('1')).toMatchObject({ then: 'follow', branch: 'feature/größer', left: 'main' });
  expect(await judge('0')).toMatchObject({ reason: 'auto-of-files' });
  git('bisect', 'start');
  expect(await judge('1')).toMatchObject({ reason: 'auto-during' });
  git('bisect', 'reset');
  git('checkout', '-q', '--detach');
  expect(await judge('1')).toMatchObject({ reason: 'auto-detached' });
  git('checkout', '-q', 'main');
  expect(await judge('1')).toMatchObject({ then: 'follow', branch: 'main', left: null });
  git('config', '--unset', 'core.hooksPath');
  expect(await unfollowBranches(needs, { directory: root }, signal)).toMatchObject({ outcome: 'removed' });
  expect(await judge('1')).toMatchObject({ reason: 'auto-is-off' });
});

test('another work tree has the same database, and does not move it', async () => {
  const { root, git, needs } = await repository();
  await followBranches(needs, { directory: root, program, flags: [] }, signal);
  git('config', 'core.hooksPath', '/dev/null');
  git('worktree', 'add', '-q', '-b', 'beside', join(root, 'beside'));
  const verdict = await judgeCheckout(needs, { directory: join(root, 'beside') }, signal);
  expect(verdict).toMatchObject({ then: 'ignore', reason: 'auto-other-work-tree' });
  await expect(followBranches(needs, { directory: join(root, 'beside'), program, flags: [] }, signal)).rejects.toMatchObject({
    code: 'usage.invalid',
  });
});

test('flags that are about a folder are those of the root of the repository', async () => {
  const { root, needs } = await repository();
  const directory = join(root, 'inside');
  await mkdir(directory);
  await expect(followBranches(needs, { directory, program, flags: ['--local'] }, signal)).rejects.toMatchObject({ code: 'usage.invalid' });
});

test('the hook is plain sh, asks what was switched on here, and its status is never that of the checkout', async () => {
  const { root, git, needs } = await repository();
  const bin = join(root, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'dbkit'), '#!/bin/sh\necho "asked: $*" >&2\nexit 1\n', { mode: 0o755 });
  await followBranches(needs, { directory: root, program, flags: ["--state-dir=it's"] }, signal);
  const env = { PATH: `${bin}:${process.env['PATH']}`, HOME: root, GIT_CONFIG_NOSYSTEM: '1' };
  const checkout = (...args: string[]): string =>
    execFileSync('/bin/sh', ['-c', 'git checkout "$@" 2>&1', 'sh', ...args], { cwd: root, env, encoding: 'utf8' });
  expect(checkout('-b', 'next')).toMatch(/asked: --state-dir=it's snapshot auto run [0-9a-f]{40} [0-9a-f]{40} 1/);
  expect(checkout('--', '.')).not.toContain('asked');
  git('config', '--unset', 'dbkit.snapshotAuto');
  expect(checkout('main')).not.toContain('asked');
});

test('what is committed does not name this machine’s paths', () => {
  const facts = {
    root: '/r',
    gitDir: '/r/.git',
    hooksDir: '/r/.git/hooks',
    isOwn: true,
    husky: true,
    managed: undefined,
    present: undefined,
  };
  expect(planHook(facts, afterCheckout([]), program)).toMatchObject({ action: 'write', path: '/r/.husky/post-checkout' });
  expect(planHook(facts, afterCheckout([]), program).text).not.toContain('/opt/dbkit.js');
});
