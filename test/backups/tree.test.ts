import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'valibot';
import { expect, onTestFinished, test } from 'vitest';
import { baseBackupRecords } from '../../src/backups/base/record.ts';
import { openHoldings } from '../../src/backups/holdings.ts';
import { openRepository } from '../../src/backups/repository.ts';
import { configSchema } from '../../src/config/config.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { createSystem } from '../../src/machine/machine.ts';
import { failing, withCalls } from '../harness/other-calls.ts';
import { record } from './record.fixture.ts';

const signal = new AbortController().signal;
const LABEL = 'data_20991120_195400';

async function emptyRepository() {
  const backupDir = await mkdtemp(join(tmpdir(), 'dbkit-tree-'));
  onTestFinished(() => rm(backupDir, { recursive: true, force: true }));
  const system = await createSystem(
    createLogger('error', () => undefined),
    process.env,
  );
  return { backupDir, system, holdings: openHoldings(baseBackupRecords, backupDir, undefined, system) };
}

test('whoever reads a backup waits until a later one has written in it', async () => {
  const { backupDir, holdings } = await emptyRepository();
  await mkdir(join(backupDir, LABEL));
  const alone = await holdings.holdAlone(LABEL);
  let isFree = false;
  const read = holdings.reading(LABEL, signal, async () => isFree);
  setTimeout(() => {
    isFree = true;
    void alone?.release();
  }, 50);
  expect(await read).toBe(true);
});

test('whoever waits for a backup is stopped at once', async () => {
  const { backupDir, holdings } = await emptyRepository();
  await mkdir(join(backupDir, LABEL));
  const alone = await holdings.holdAlone(LABEL);
  const stop = new AbortController();
  const read = holdings.reading(LABEL, stop.signal, async () => 'read');
  setTimeout(() => stop.abort(), 50);
  await expect(read).rejects.toMatchObject({ name: 'AbortError' });
  await alone?.release();
  await expect(holdings.reading(LABEL, stop.signal, async () => 'read')).rejects.toMatchObject({ name: 'AbortError' });
  expect(await holdings.reading(LABEL, signal, async () => 'read')).toBe('read');
});

test('a backup whose directory a disk does not show is passed over in the list, and its record is not changed', async () => {
  const { backupDir, holdings } = await emptyRepository();
  const other = 'data_20991121_195400';
  for (const label of [LABEL, other]) {
    await mkdir(join(backupDir, label));
    await writeFile(join(backupDir, `${label}.json`), JSON.stringify({ ...record, label }));
  }
  const unseen = { lstat: failing('EIO', (path) => path === join(backupDir, LABEL)) };
  const listed = await withCalls(unseen, () => holdings.records(signal));
  expect(listed.map(({ label }) => label)).toEqual([other]);
  const changed = withCalls(unseen, () => holdings.change(LABEL, (now) => ({ ...now, pinned: true }), signal));
  await expect(changed).rejects.toMatchObject({ code: 'EIO' });
  expect((await holdings.records(signal)).map(({ label, pinned }) => [label, pinned])).toEqual([
    [LABEL, false],
    [other, false],
  ]);
});

test('nothing expires while the disk of the data does not answer', async () => {
  const { backupDir, system } = await emptyRepository();
  const config = parse(configSchema, {
    backupDir,
    stateDir: join(backupDir, 'state'),
    maxBackups: 1,
    postgresql: { dataDir: join(backupDir, 'pgdata') },
  });
  const repository = openRepository(baseBackupRecords, { config, owner: undefined, system });
  for (const label of [LABEL, 'data_20991121_195400', 'data_20991122_195400']) {
    await mkdir(join(backupDir, label));
    await writeFile(join(backupDir, `${label}.json`), JSON.stringify({ ...record, label }));
  }
  const silent = { openSync: failing('EIO', (path) => path.endsWith('global/pg_control')) };
  await expect(withCalls(silent, () => repository.expire({ dryRun: false }, signal))).rejects.toMatchObject({ code: 'volume.failing' });
  expect(await repository.list(signal)).toHaveLength(3);
  await repository.expire({ dryRun: false }, signal);
  expect(await repository.list(signal)).toHaveLength(1);
});

test('a label that a killed run has left in .partial does not come twice, whatever the clock says', async () => {
  const { backupDir, holdings } = await emptyRepository();
  await mkdir(join(backupDir, '.partial', `${LABEL}.takeover.json`), { recursive: true });
  expect(await holdings.freeLabel(signal)).toBe('data_20991120_195401');
});
