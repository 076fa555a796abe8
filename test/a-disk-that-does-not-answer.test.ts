import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Backups } from '../src/backups/backup.ts';
import { heldIn } from '../src/cluster/restoring/held-data.ts';
import { installHook } from '../src/health/hooks/install.ts';
import { stateOf } from '../src/inspection/state.ts';
import { serverOn } from '../src/instance/guard/preflight.ts';
import { discardUnfinished } from '../src/instance/initialize/initialize.ts';
import type { Local } from '../src/instance/local.ts';
import { replacementsSince, volumeOf } from '../src/instance/volume.ts';
import { finishReplacement } from '../src/recovery/resume.ts';
import { isKnown } from '../src/recovery/traces.ts';
import { findReplaced } from '../src/restore/replaced.ts';
import { claimArchive } from '../src/wal/claim.ts';
import { owner, testSystem } from './backups/copy-engine.fixture.ts';
import { failing, withCalls } from './harness/other-calls.ts';

/**
 * Only "No such file or directory" is missing. Whatever else a disk or a mount answers is unknown, and where the answer decides whether data is
 * replaced, removed or begun anew nothing is done on it.
 */
const signal = new AbortController().signal;
const system = await testSystem();
let root: string;
const within = (...names: string[]): string => join(root, ...names);
const local = (): Local =>
  ({ volume: volumeOf(within('data')), stateDir: within('state'), backupDir: within('backup'), system, owner }) as unknown as Local;
const quarantine = (): string => within('backup/quarantine');
const LABEL = 'corrupt_20991120_195400';
const NONE: readonly Backups[] = [];
const unlistable = [
  { repository: { list: () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) } },
] as unknown as Backups[];
const epoch = new Date(0);

async function put(path: string, text = ''): Promise<void> {
  await mkdir(join(within(path), '..'), { recursive: true });
  await writeFile(within(path), text);
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dbkit-silent-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  for (const path of ['data/global', 'data/.dbkit', `backup/quarantine/${LABEL}`, 'wal']) await mkdir(within(path), { recursive: true });
});

interface Case {
  readonly name: string;
  readonly make?: () => Promise<void>;
  /** The call that fails, and for which path. */
  readonly fails: readonly [call: string, path: () => string];
  readonly work: () => Promise<unknown> | unknown;
  /** The answer where the disk does. */
  readonly else: unknown;
}

const control = (): string => within('data/global/pg_control');
const cases: readonly Case[] = [
  { name: 'a member’s data is not taken for none', fails: ['openSync', control], work: () => heldIn(within('data')), else: undefined },
  { name: 'an empty directory is no first boot', fails: ['readdir', quarantine], work: () => isKnown(local(), NONE, signal), else: true },
  {
    name: 'replacements of the last hour are not taken for none',
    fails: ['readdir', quarantine],
    work: () => replacementsSince(volumeOf(within('data')), within('backup'), epoch),
    else: 1,
  },
  {
    name: 'half a cluster is not left alone because the other half cannot be looked for',
    make: async () => {
      await rm(within('data/global'), { recursive: true });
      for (const name of ['base', 'pg_wal', 'pg_xact', 'PG_VERSION']) await mkdir(within('data', name));
      await mkdir(join(quarantine(), LABEL, 'global'));
    },
    fails: ['readdir', quarantine],
    work: () => finishReplacement(local()),
    else: true,
  },
  {
    name: 'undo does not take an older one for the newest',
    make: () => mkdir(within('data/.dbkit/quarantine/replaced_20261120_195400'), { recursive: true }).then(() => undefined),
    fails: ['readdir', quarantine],
    work: async () => (await findReplaced(volumeOf(within('data')), within('backup'), 'latest', signal)).label,
    else: 'replaced_20261120_195400',
  },
  {
    name: 'an unfinished cluster is not removed',
    make: () => put('data/dbkit.initializing').then(() => put('data/base/1/PG_VERSION', '15')),
    fails: ['open', control],
    work: () => discardUnfinished(local()),
    else: undefined,
  },
  {
    name: 'a cluster that is whole is not taken for an unfinished one',
    make: () => put('data/dbkit.initializing', JSON.stringify({ startedAt: '', replaced: null, isDurable: true })),
    fails: ['open', () => within('data/dbkit.initializing')],
    work: () => stateOf(within('data')),
    else: 'cluster',
  },
  {
    name: 'a server is not taken for none',
    fails: ['open', () => within('data/postmaster.pid')],
    work: () => serverOn(within('data')),
    else: 'none',
  },
  {
    name: 'an archive is not taken from the data that writes to it',
    make: () => put('wal/writer.json', JSON.stringify({ schema: 'dbkit.wal-writer/v1', dataDir: within('other'), host: hostname() })),
    fails: ['open', () => within('other/global/pg_control')],
    work: async () => {
      const lock = await claimArchive(within('wal'), { system, dataDir: within('data'), owner, systemIdentifier: '1' });
      await lock.release();
      return (JSON.parse(await readFile(within('wal/writer.json'), 'utf8')) as { dataDir: string }).dataDir;
    },
    get else() {
      return within('data');
    },
  },
  {
    name: 'a file is not written over by a rename',
    make: () => put('from'),
    fails: ['lstat', () => within('to')],
    work: () => system.files.rename(within('from'), within('to')),
    else: undefined,
  },
  {
    name: 'a hook of somebody’s is not written over',
    make: () => mkdir(within('project/.git/hooks'), { recursive: true }).then(() => undefined),
    fails: ['lstat', () => within('project/.git/hooks/pre-commit')],
    work: async () => {
      const repository = { root: within('project'), gitDir: within('project/.git'), hooksDir: within('project/.git/hooks') };
      const git = { repositoryOf: async () => repository } as unknown as Parameters<typeof installHook>[0]['git'];
      return (await installHook({ git }, { directory: within('project'), program: ['node', 'dbkit.js'] }, signal)).outcome;
    },
    else: 'installed',
  },
];

test.each(cases)('$name', async ({ make, fails: [call, path], work, ...row }) => {
  await make?.();
  const failed = withCalls({ [call]: failing('EIO', (asked) => asked === path()) }, work);
  await expect(failed).rejects.toMatchObject({ code: 'EIO' });
  expect(await work()).toEqual(row.else);
});

test('backups that cannot be listed are no first boot either', async () => {
  await rm(join(quarantine(), LABEL), { recursive: true });
  await expect(isKnown(local(), unlistable, signal)).rejects.toMatchObject({ code: 'EIO' });
  expect(await isKnown(local(), NONE, signal)).toBe(false);
});

test('pg_control that another user keeps for himself says nothing of whose data it is', async () => {
  const denied = withCalls({ openSync: failing('EACCES', (asked) => asked === control()) }, () => heldIn(within('data')));
  await expect(denied).rejects.toMatchObject({ code: 'data.owner' });
});
