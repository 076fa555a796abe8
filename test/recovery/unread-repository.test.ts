import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Backups } from '../../src/backups/backup.ts';
import type { Local } from '../../src/instance/local.ts';
import type { Logger } from '../../src/kernel/machine.ts';
import { climb } from '../../src/recovery/ladder.ts';
import type { Facts } from '../../src/recovery/ladder-facts.ts';
import { accessOf, newestDamaged, newestDump } from '../../src/recovery/last-sources.ts';
import { createListing } from '../../src/recovery/listing.ts';
import type { PlanInput } from '../../src/recovery/plan.ts';
import { bareFacts } from './ladder-facts.fixture.ts';

const signal = new AbortController().signal;
const silent = (): void => undefined;
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent, progress: silent };
const facts: Facts = { ...bareFacts, answers: new Set(['replace']) };

/** What the ladder decides where the lists of backups end as told. */
async function decided(state: 'cluster' | 'empty', list: () => Promise<never[]>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-unread-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const [dataDir, backupDir] = [join(root, 'data'), join(root, 'backup')];
  await mkdir(dataDir);
  await mkdir(backupDir);
  const volume = { dataDir, initializing: join(dataDir, 'dbkit.initializing') };
  const local = {
    volume,
    backupDir,
    binaries: { major: 15 },
    system: { log, files: { readJson: async () => undefined } },
  } as unknown as Local;
  const backups = ['physical', 'logical'].map((kind) => ({ kind, repository: { list } })) as unknown as readonly Backups[];
  const input = { backups, inspection: { report: { state, major: 15, systemIdentifier: '1' } } } as unknown as PlanInput;
  const listing = createListing(log, signal);
  const [partial, dump] = [await newestDamaged(local, input, listing), await newestDump(local, input, listing)];
  const access = await accessOf(local, { state, source: undefined, replaces: state === 'cluster', listing });
  return climb({ ...facts, state, partial: partial?.backup.label, dump: dump?.backup.label, ...access }).id;
}

const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

test.each(['EMFILE', 'ENOMEM', 'EIO', 'EACCES', 'ESTALE'])('%s is no empty repository: nothing is replaced or begun anew', async (code) => {
  expect(await decided('cluster', failing(code))).toBe('backups-not-readable');
  expect(await decided('empty', failing(code))).toBe('backups-not-readable');
});

test('an empty repository is one', async () => {
  expect(await decided('cluster', async () => [])).toBe('damaged-without-backup');
  expect(await decided('empty', async () => [])).toBe('first-boot');
});

test('an older backup is not restored into an empty directory while a newer one cannot be read', () => {
  expect(climb({ ...facts, state: 'empty', backup: 'data_x', backupsUnreadable: true }).id).toBe('backups-not-readable');
});
