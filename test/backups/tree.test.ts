import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { baseBackupRecords } from '../../src/backups/base/record.ts';
import { openHoldings } from '../../src/backups/holdings.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { createSystem } from '../../src/machine/machine.ts';

const signal = new AbortController().signal;
const LABEL = 'data_20991120_195400';

async function emptyRepository() {
  const backupDir = await mkdtemp(join(tmpdir(), 'dbkit-tree-'));
  onTestFinished(() => rm(backupDir, { recursive: true, force: true }));
  const system = await createSystem(
    createLogger('error', () => undefined),
    process.env,
  );
  return { backupDir, holdings: openHoldings(baseBackupRecords, backupDir, undefined, system) };
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

test('a label that a killed run has left in .partial does not come twice, whatever the clock says', async () => {
  const { backupDir, holdings } = await emptyRepository();
  await mkdir(join(backupDir, '.partial', `${LABEL}.takeover.json`), { recursive: true });
  expect(await holdings.freeLabel(signal)).toBe('data_20991120_195401');
});
