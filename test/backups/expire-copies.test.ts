import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { bringBack } from '../../src/backups/offsite/bring-back.ts';
import { copyOut } from '../../src/backups/offsite/copy-out.ts';
import { expireCopies } from '../../src/backups/offsite/expire-copies.ts';
import { plainBackups } from '../../src/backups/offsite/held-backups.ts';
import { openPlace } from '../../src/backups/offsite/place.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { plainSeal } from '../../src/store/age.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';
import type { Store } from '../../src/store/store.ts';

const { signal } = new AbortController();
const histories = new Map();
const log = createLogger('error', () => undefined);
const system = { files: createFiles(log), clock };
const DAY_MS = 86_400_000;
const START_MS = Date.parse('2026-11-23T12:00:00Z');
const labels = ['data_20261120_120000', 'data_20261121_120000', 'data_20261122_120000'] as const;
/** Each backup shares the first file with those before it, and has one of its own. */
const fileOf = (label: string): Buffer => Buffer.from(label.repeat(5000));

async function threeCopies(change: (store: Store) => Store = (store) => store) {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-expire-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'away'));
  const store = change(openDirectoryStore({ path: join(root, 'away'), clock }));
  const place = openPlace(store, plainSeal, '77');
  const backupDir = join(root, 'backups');
  for (const label of labels) {
    await mkdir(join(backupDir, label), { recursive: true });
    await writeFile(join(backupDir, label, 'shared'), Buffer.alloc(100_000, 'shared by all'));
    await writeFile(join(backupDir, label, 'own'), fileOf(label));
    await writeFile(join(backupDir, `${label}.json`), `{"label":"${label}"}\n`);
    const about = { path: '', kind: 'physical', createdAt: '2026-11-20T12:00:00.000Z', state: 'good', pgVersion: 15 } as const;
    const backup = { ...about, label, systemIdentifier: '77', sizeBytes: 1 };
    await copyOut({ place, backupDir, memoryDir: join(root, 'memory'), system, held: plainBackups }, backup, async () => undefined, signal);
  }
  const at = (days: number) => ({ now: () => new Date(START_MS + days * DAY_MS) });
  const expire = (days: number, dryRun = false, damageIsOpen = false) =>
    expireCopies({ place, policy: { last: 1, damageIsOpen }, clock: at(days), log, histories }, { dryRun }, signal);
  const comesBack = async (label: string): Promise<void> => {
    const to = await mkdtemp(join(root, 'to-'));
    const manifest = await place.manifest((await place.summary(label, signal))!, signal);
    await bringBack(place, manifest, { directory: join(to, label), record: join(to, 'record.json'), owner: undefined }, signal);
    expect((await readFile(join(to, label, 'own'))).equals(fileOf(label))).toBe(true);
  };
  const objects = async (): Promise<string[]> => (await store.list('v1/77/', signal)).map(({ key }) => key.slice('v1/77/'.length));
  return { store, place, expire, comesBack, objects };
}

test('while damage of the data is neither mended nor accepted, nothing is let go in a copy', async () => {
  const { expire, objects } = await threeCopies();
  const before = await objects();
  expect((await expire(0, false, true)).decisions.every(({ keep }) => keep)).toBe(true);
  expect(await objects()).toEqual(before);
});

test('a copy keeps what its own retention says; objects go a week later, and what is kept comes back whole', async () => {
  const { expire, comesBack, objects } = await threeCopies();
  const before = await objects();
  expect((await expire(0, true)).decisions.map(({ keep, reason }) => [keep, reason])).toEqual([
    [true, 'newest-good'],
    [false, 'enough-newer'],
    [false, 'enough-newer'],
  ]);
  expect(await objects()).toEqual(before);
  expect((await expire(0)).swept).toBe(0);
  const packs = (keys: readonly string[]): number => keys.filter((key) => key.startsWith('packs/')).length;
  expect(packs(await objects()), 'another machine may rely on them').toBe(packs(before));
  await expire(6);
  expect(packs(await objects())).toBe(packs(before));
  expect((await expire(8)).swept).toBeGreaterThan(4);
  const after = await objects();
  expect(packs(after)).toBeLessThan(packs(before));
  expect(after.filter((key) => /^(backups|expired)\//.test(key))).toHaveLength(2);
  await comesBack(labels[2]);
  expect((await expire(20)).swept).toBe(0);
});

test('killed at any removal, the next run goes on, and what is kept comes back at every instant', async () => {
  let left = Number.POSITIVE_INFINITY;
  const { expire, comesBack, objects } = await threeCopies((store) => ({
    ...store,
    async remove(...rest) {
      if (left === 0) throw new TypeError('killed');
      left -= 1;
      return store.remove(...rest);
    },
  }));
  let kills = 0;
  for (const day of [0, 8])
    for (;;) {
      left = kills + 1;
      const done = await expire(day).then(
        () => true,
        (cause: unknown) => {
          expect(cause).toBeInstanceOf(TypeError);
          return false;
        },
      );
      await comesBack(labels[2]);
      if (done) break;
      kills += 1;
      expect(kills).toBeLessThan(40);
    }
  expect(kills).toBeGreaterThan(2);
  expect((await objects()).filter((key) => /^(backups|expired)\//.test(key))).toHaveLength(2);
});

test('a store that removes nothing keeps everything, and it is told', async () => {
  const told: string[] = [];
  const { place, comesBack } = await threeCopies((store) => ({
    ...store,
    async remove(key, ...rest) {
      if (key.includes('/packs/')) throw new DbkitError('store.denied', 'objects are locked');
      return store.remove(key, ...rest);
    },
  }));
  const loud = createLogger('warn', ({ event }) => told.push(event));
  for (const days of [0, 8])
    await expireCopies(
      { place, policy: { last: 1 }, clock: { now: () => new Date(START_MS + days * DAY_MS) }, log: loud, histories },
      { dryRun: false },
      signal,
    );
  expect(told).toEqual(['copy.retained']);
  await comesBack(labels[2]);
});

test('a backup that is copied again meanwhile takes its objects back', async () => {
  const { store, expire, comesBack } = await threeCopies();
  const key = `v1/77/backups/${labels[0]}.json`;
  const summary = (await store.get(key, signal))!;
  await expire(0);
  await store.put(key, summary, signal); // As another machine would.
  await expire(0, true);
  await comesBack(labels[0]);
});
