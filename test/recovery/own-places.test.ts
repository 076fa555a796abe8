import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { damageMemory } from '../../src/inspection/known-damage.ts';
import { volumeOf } from '../../src/instance/volume.ts';
import { finishReplacement } from '../../src/recovery/resume.ts';
import { owner, testSystem } from '../backups/copy-engine.fixture.ts';

let dataDir: string;
let backupDir: string;
beforeEach(() => {
  const root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  [dataDir, backupDir] = [join(root, 'data'), join(root, 'backup')];
  put(dataDir, 'old', 'global');
});

/** A cluster, or a part of one, in which every file says whose it is. */
function put(folder: string, whose: string, ...names: string[]): void {
  for (const name of names.length > 0 ? names : ['global', 'base', 'pg_wal', 'pg_xact']) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'whose'), whose);
  }
}
const whoseIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name !== '.dbkit')
    .map((name) => `${name} ${readFileSync(join(folder, name, 'whose'), 'utf8')}`)
    .sort();
const all = (whose: string): string[] => ['base', 'global', 'pg_wal', 'pg_xact'].map((name) => `${name} ${whose}`);

async function resumed(quarantine: string, from: string | undefined): Promise<boolean> {
  put(quarantine, 'old', 'base', 'pg_wal', 'pg_xact');
  put(from ?? volumeOf(dataDir).incoming, 'new');
  const journal = { schema: 'dbkit.journal/v1', quarantine, publishes: true, from, phase: 'set-aside', because: 'x', startedAt: 'x' };
  writeFileSync(volumeOf(dataDir).journal, JSON.stringify(journal));
  return finishReplacement({
    volume: volumeOf(dataDir),
    stateDir: join(dataDir, '../state'),
    backupDir,
    owner,
    system: await testSystem(),
  });
}

const label = 'replaced_20261120_195400';
test.each<[string, () => string, () => string | undefined]>([
  ['in the repository', () => join(backupDir, 'quarantine', label), () => undefined],
  ['on the data’s own volume', () => join(dataDir, '.dbkit/quarantine', label), () => volumeOf(dataDir).staged],
  ['undone', () => join(backupDir, 'quarantine', label), () => join(backupDir, 'quarantine/replaced_20261119_195400')],
])('a replacement that was cut off is finished: %s', async (_, quarantine, from) => {
  mkdirSync(join(dataDir, '.dbkit'));
  expect(await resumed(quarantine(), from())).toBe(true);
  expect(whoseIn(dataDir)).toEqual(all('new'));
  expect(whoseIn(quarantine())).toEqual(all('old'));
});

test('it is finished by whoever reaches the data and the repository through links', async () => {
  mkdirSync(join(dataDir, '.dbkit'));
  const [realData, realBackup] = [dataDir, backupDir];
  symlinkSync(realData, join(realData, '../linked-data'));
  symlinkSync(realBackup, join(realData, '../linked-backup'));
  [dataDir, backupDir] = [join(realData, '../linked-data'), join(realData, '../linked-backup')];
  expect(await resumed(join(realBackup, 'quarantine', label), volumeOf(realData).staged)).toBe(true);
  expect(whoseIn(realData)).toEqual(all('new'));
});

test.each<[string, () => string, () => string | undefined]>([
  ['data is to go elsewhere', () => join(dataDir, '../elsewhere'), () => undefined],
  ['data is to come from elsewhere', () => join(backupDir, 'quarantine', label), () => join(dataDir, '../elsewhere')],
  ['a folder of the repository that is no quarantine', () => join(backupDir, 'quarantine/data_20261120_195400'), () => undefined],
  ['a way out of .dbkit', () => join(backupDir, 'quarantine', label), () => `${dataDir}/.dbkit/incoming/../../../elsewhere`],
])('a journal is not obeyed where it names %s', async (_, quarantine, from) => {
  mkdirSync(join(dataDir, '.dbkit'));
  await expect(resumed(quarantine(), from())).rejects.toMatchObject({
    code: 'recovery.refused',
    hint: expect.stringMatching(/BACKUP_DIR/),
  });
  expect(whoseIn(dataDir)).toEqual(['global old']);
});

test('damage that is known of the new data is remembered by whoever finishes the replacement', async () => {
  mkdirSync(join(dataDir, '.dbkit'));
  const [stateDir, quarantine] = [join(dataDir, '../state'), join(backupDir, 'quarantine', label)];
  mkdirSync(stateDir);
  put(quarantine, 'old');
  rmSync(join(dataDir, 'global'), { recursive: true });
  put(dataDir, 'new'); // Everything is swapped: it was killed at the very end.
  const entry = {
    code: 'page.damaged',
    path: 'base/1/2',
    evidence: 'block 1',
    severity: 'certain',
    blocks: [1],
    since: '2026-11-20T19:54:00.000Z',
  };
  const brings = { systemIdentifier: '7', entries: [entry] };
  const journal = { schema: 'dbkit.journal/v1', quarantine, publishes: true, brings, phase: 'publish', because: 'x', startedAt: 'x' };
  writeFileSync(volumeOf(dataDir).journal, JSON.stringify(journal));
  const system = await testSystem();
  const memory = damageMemory({ dataDir, stateDir }, system);
  await memory.remember('7', [{ ...entry, code: 'page.damaged', severity: 'certain', path: 'base/1/3' }]); // Of the data that went.
  expect(await finishReplacement({ volume: volumeOf(dataDir), stateDir, backupDir, owner, system })).toBe(true);
  expect(await memory.open('7')).toMatchObject([{ path: 'base/1/2', blocks: [1] }]);
  expect(whoseIn(dataDir)).toEqual(all('new'));
  expect(await finishReplacement({ volume: volumeOf(dataDir), stateDir, backupDir, owner, system }), 'nothing is left to do').toBe(false);
});
