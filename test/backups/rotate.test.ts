import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { bringBack } from '../../src/backups/offsite/bring-back.ts';
import { bringWalBack } from '../../src/backups/offsite/bring-wal.ts';
import { checkCopy } from '../../src/backups/offsite/check-copy.ts';
import { copyOut } from '../../src/backups/offsite/copy-out.ts';
import { expireCopies } from '../../src/backups/offsite/expire-copies.ts';
import { plainBackups } from '../../src/backups/offsite/held-backups.ts';
import { openPlace, type Place } from '../../src/backups/offsite/place.ts';
import { dependence, rotateCopy } from '../../src/backups/offsite/rotate.ts';
import { copyWal } from '../../src/backups/offsite/send-wal.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { ageSeal, newIdentity, plainSeal, type Seal } from '../../src/store/age.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';
import type { Store } from '../../src/store/store.ts';
import { openWriter } from '../../src/wal/writer.ts';
import { FULL, run, SIZE, segment } from '../harness/wal-files.ts';

const { signal } = new AbortController();
const log = createLogger('error', () => undefined);
const files = createFiles(log);
const system = { files, clock };
const labels = ['data_20261120_120000', 'data_20261121_120000'] as const;
const SEGMENT = '000000010000000000000003';

/** Two backups that share a file, and a segment of WAL, in a copy that is sealed like that. */
async function copyWith(seal: Seal) {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-rotate-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await mkdir(join(root, 'away'));
  const store = openDirectoryStore({ path: join(root, 'away'), clock });
  const backupDir = join(root, 'backups');
  const place = openPlace(store, seal, '77');
  const writer = openWriter({ repositoryDir: backupDir, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
  await writer.keepWhole(SEGMENT, segment(3, run(3, FULL)), signal);
  const backups = labels.map((label) => {
    const about = { path: '', kind: 'physical', createdAt: '2026-11-20T12:00:00.000Z', state: 'good', pgVersion: 15 } as const;
    return { ...about, label, systemIdentifier: '77', sizeBytes: 1 };
  });
  for (const backup of backups) {
    await mkdir(join(backupDir, backup.label), { recursive: true });
    await writeFile(join(backupDir, backup.label, 'shared'), Buffer.alloc(100_000, 'shared'));
    await writeFile(join(backupDir, backup.label, 'own'), backup.label.repeat(3000));
    await writeFile(join(backupDir, `${backup.label}.json`), `{"label":"${backup.label}"}\n`);
    const wal = () => copyWal(place, { backupDir, summaries: [] }, files, signal);
    await copyOut({ place, backupDir, memoryDir: join(root, 'memory'), system, held: plainBackups }, backup, wal, signal);
  }
  return { root, store };
}

const sealed = (to: string, ...identities: string[]): Seal => ageSeal([to], async () => new Secret(identities.join('\n')));

/** Everything in the copy, with that seal alone: both backups byte for byte, and the WAL. */
async function expectAll(place: Place, root: string): Promise<void> {
  const to = await mkdtemp(join(root, 'to-'));
  expect((await place.summaries(signal)).map(({ label }) => label)).toEqual(labels);
  for (const label of labels) {
    const summary = (await place.summary(label, signal))!;
    expect(await checkCopy(place, summary, new Set(), signal)).toMatchObject({ ok: true });
    const target = { directory: join(to, label), record: join(to, 'record.json'), owner: undefined };
    await bringBack(place, await place.manifest(summary, signal), target, signal);
    expect(await readFile(join(to, label, 'own'), 'utf8')).toBe(label.repeat(3000));
  }
  expect(await bringWalBack(place, join(to, 'repository'), files, signal)).toBe(1);
}

test('a rotated key restores everything, the old one nothing, and the old objects go a week later', async () => {
  const [one, other] = [await newIdentity(), await newIdentity()];
  const { root, store } = await copyWith(sealed(one.recipient, one.identity));
  const now = openPlace(store, sealed(other.recipient, one.identity, other.identity), '77');
  expect(await dependence(now, signal)).toEqual({ current: [], older: [...labels], wal: 'older' });
  const rotated = await rotateCopy(now, clock, signal);
  expect(rotated).toMatchObject({ backups: labels, current: [] });
  expect(rotated.walObjects).toBeGreaterThanOrEqual(2);
  expect(await dependence(now, signal)).toEqual({ current: [...labels], older: [], wal: 'current' });

  const alone = openPlace(store, sealed(other.recipient, other.identity), '77');
  await expectAll(alone, root);
  const summary = (await alone.summary(labels[0], signal))!;
  await expect(openPlace(store, sealed(one.recipient, one.identity), '77').manifest(summary, signal)).rejects.toMatchObject({
    code: 'key.unusable',
  });
  expect(await rotateCopy(alone, clock, signal)).toEqual({ backups: [], current: [...labels], walObjects: 0 });

  const packs = async (): Promise<number> => (await store.list('v1/77/packs/', signal)).length;
  const before = await packs();
  const later = { now: () => new Date(clock.now().getTime() + 8 * 86_400_000) };
  expect(
    (await expireCopies({ place: alone, policy: { last: 9 }, clock: later, log, histories: new Map() }, { dryRun: false }, signal)).swept,
  ).toBeGreaterThan(2);
  expect(await packs()).toBeLessThan(before);
  await expectAll(alone, root);
});

test('killed at any write or removal, everything can be restored with both keys, and the next run goes on', async () => {
  const [one, other] = [await newIdentity(), await newIdentity()];
  const { root, store } = await copyWith(sealed(one.recipient, one.identity));
  let left = 0;
  const spend = (): void => {
    if (left === 0) throw new TypeError('killed');
    left -= 1;
  };
  const breaking: Store = {
    ...store,
    async put(...rest) {
      spend();
      return store.put(...rest);
    },
    async remove(...rest) {
      spend();
      return store.remove(...rest);
    },
  };
  const both = sealed(other.recipient, one.identity, other.identity);
  let kills = 0;
  for (;;) {
    left = kills;
    const done = await rotateCopy(openPlace(breaking, both, '77'), clock, signal).then(
      () => true,
      (cause: unknown) => {
        expect(cause).toBeInstanceOf(TypeError);
        return false;
      },
    );
    await expectAll(openPlace(store, both, '77'), root);
    if (done) break;
    kills += 1;
    expect(kills).toBeLessThan(60);
  }
  expect(kills).toBeGreaterThan(5);
  await expectAll(openPlace(store, sealed(other.recipient, other.identity), '77'), root);
});

test('a copy that was not encrypted is encrypted, and nothing of it stays readable after a week', async () => {
  const { identity, recipient } = await newIdentity();
  const { root, store } = await copyWith(plainSeal);
  const place = openPlace(store, sealed(recipient, identity), '77');
  await rotateCopy(place, clock, signal);
  await expectAll(place, root);
  const later = { now: () => new Date(clock.now().getTime() + 8 * 86_400_000) };
  await expireCopies({ place, policy: { last: 9 }, clock: later, log, histories: new Map() }, { dryRun: false }, signal);
  const names = (await readdir(join(root, 'away', 'v1', '77'), { recursive: true })).filter((name) =>
    /packs\/|wal\/.*zst|manifest/.test(name),
  );
  expect(names.filter((name) => !name.endsWith('.age'))).toEqual([]);
  await expectAll(place, root);
});
