import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readCluster } from '../../src/backups/base/cluster.ts';
import { descendsFrom } from '../../src/backups/base/descent.ts';
import { segmentThatLeadsOn } from '../../src/backups/base/furthest.ts';
import type { BackupRecord, WholeRecord } from '../../src/backups/base/record.ts';
import { findSameFiles } from '../../src/backups/base/same-files.ts';
import { readManifest } from '../../src/backups/base/verify.ts';
import { readInventory, readLastInventory } from '../../src/inspection/inventory.ts';
import { keptBytes, readKept } from '../../src/inspection/kept.ts';
import { damageMemory } from '../../src/inspection/known-damage.ts';
import { configFileElsewhere } from '../../src/instance/external-configuration.ts';
import { findInitdbScripts } from '../../src/instance/initialize/initdb-scripts.ts';
import type { Logger, System } from '../../src/kernel/machine.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { readMark } from '../../src/wal/mark.ts';

/** While `code` is set, every file and folder below `folder` ends so. */
const trouble = vi.hoisted(() => ({ code: '', folder: '' }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const failing =
    (name: 'open' | 'readFile' | 'readdir') =>
    (path: string | Buffer, ...rest: unknown[]) =>
      trouble.code !== '' && `${path}/`.startsWith(`${trouble.folder}/`)
        ? Promise.reject(Object.assign(new Error(trouble.code), { code: trouble.code }))
        : (real[name] as (...all: unknown[]) => unknown)(path, ...rest);
  return { ...real, open: failing('open'), readFile: failing('readFile'), readdir: failing('readdir') };
});

const signal = new AbortController().signal;
const silent = (): void => undefined;
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent, progress: silent };
const system = { files: createFiles(log), log, clock } as unknown as System;
const record = {
  label: 'data_20261120_195400',
  systemIdentifier: '1',
  timeline: 1,
  walSegmentSizeBytes: 1 << 24,
  startLsn: '0/1',
  stopLsn: '0/2',
};
const whole = { ...record, state: 'verified', copyBeganNs: '0', files: [], packed: [] } as unknown as WholeRecord;
const kept = { systemIdentifier: '1', checkpointLsn: '0', timeline: 1, digests: new Map([['x', 'y']]) };

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-unread-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

beforeEach(() => {
  trouble.code = '';
});

/** Each of them leads to a rung that replaces, to a backup that counts as damaged, or to one that is removed. */
const looks: readonly (readonly [name: string, look: (folder: string) => Promise<unknown>])[] = [
  ['the pg_control of a cluster', (folder) => readCluster(folder, signal)],
  ['the ancestors of the data', (folder) => descendsFrom(record as BackupRecord, folder, signal)],
  ['how far the WAL had come', (folder) => readMark(folder, folder, '1')],
  ['the list of the kept copies', (folder) => readKept(folder)],
  ['a kept copy', (folder) => keptBytes(folder, kept, 'x')],
  ['the inventory', (folder) => readInventory(system, folder)],
  ['the last inventory', (folder) => readLastInventory(system, folder)],
  ['damage that is known', (folder) => damageMemory({ dataDir: folder, stateDir: folder }, system).open('1')],
  ['where the configuration is', (folder) => configFileElsewhere(folder)],
  ['the scripts of a first start', (folder) => findInitdbScripts(folder)],
  ['the files that a backup has too', (folder) => findSameFiles(whole, folder, [], signal)],
  ['the manifest of a backup', (folder) => readManifest(record as BackupRecord, folder)],
  [
    'the WAL that an archive has beyond',
    (folder) =>
      segmentThatLeadsOn(record as BackupRecord, 'x', { path: folder, dataDir: folder, config: { backupDir: folder }, system }, signal),
  ],
];

describe('who is short of descriptors takes no file for missing or damaged', () => {
  test.each(looks)('%s', async (_, look) => {
    const folder = await emptyFolder();
    for (const code of ['EMFILE', 'ENFILE', 'ENOMEM']) {
      Object.assign(trouble, { code, folder });
      await expect(look(folder)).rejects.toMatchObject({ code });
    }
  });
});

test('damage that cannot be read now is not forgotten: nothing expires, and nothing is written over it', async () => {
  const folder = await emptyFolder();
  const [stateDir, dataDir] = [join(folder, 'state'), join(folder, 'data')];
  await Promise.all([mkdir(stateDir), mkdir(join(dataDir, '.dbkit'), { recursive: true })]);
  const memory = damageMemory({ dataDir, stateDir }, system);
  Object.assign(trouble, { code: 'EIO', folder });
  await expect(memory.open('1')).rejects.toMatchObject({ code: 'EIO' });
  trouble.folder = stateDir;
  await expect(memory.open('1'), 'beside the data there is none').rejects.toMatchObject({ code: 'EIO' });
  await writeFile(join(dataDir, '.dbkit/damage.json'), JSON.stringify({ schema: 'dbkit.damage/v1', systemIdentifier: '1', entries: [] }));
  expect(await memory.open('1'), 'beside the data it can be read').toEqual([]);
  trouble.code = 'EACCES';
  expect(await memory.open('2'), 'another user’s').toEqual([]);
});

test('scripts of a first start that cannot be read are not left out', async () => {
  const folder = await emptyFolder();
  for (const code of ['EIO', 'EACCES']) {
    Object.assign(trouble, { code, folder });
    await expect(findInitdbScripts(folder)).rejects.toMatchObject({ code });
  }
  trouble.code = '';
  expect(await findInitdbScripts(join(folder, 'none'))).toEqual([]);
});
