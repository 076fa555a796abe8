import { appendFile, mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { bringBack } from '../../src/backups/offsite/bring-back.ts';
import { bringWalBack } from '../../src/backups/offsite/bring-wal.ts';
import { copyOut } from '../../src/backups/offsite/copy-out.ts';
import { plainBackups } from '../../src/backups/offsite/held-backups.ts';
import { parseManifest, renderManifest } from '../../src/backups/offsite/manifest.ts';
import { openPlace, type Place, writtenBytes } from '../../src/backups/offsite/place.ts';
import { slice } from '../../src/backups/offsite/read-file.ts';
import { copyWal } from '../../src/backups/offsite/send-wal.ts';
import type { BytePath } from '../../src/formats/byte-path.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { ageSeal, newIdentity, plainSeal, type Seal } from '../../src/store/age.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';
import { createKey } from '../../src/store/keys.ts';
import type { Store } from '../../src/store/store.ts';
import { openArchive, readArchiveRecord } from '../../src/wal/archive.ts';
import { openWriter } from '../../src/wal/writer.ts';
import { FULL, run, SIZE, segment } from '../harness/wal-files.ts';

const { signal } = new AbortController();
const files = createFiles(createLogger('error', () => undefined));
const system = { files, clock };

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'dbkit-copy-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Bytes that do not pack. */
function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, state = seed; at < length; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

async function backupIn(backupDir: string, label: string, contents: Readonly<Record<string, Buffer>>) {
  await mkdir(join(backupDir, label, 'base', '5'), { recursive: true });
  await mkdir(join(backupDir, label, 'pg_twophase'));
  for (const [path, bytes] of Object.entries(contents)) await writeFile(join(backupDir, label, path), bytes);
  await writeFile(join(backupDir, `${label}.json`), `{"label":"${label}"}\n`);
  return {
    label,
    path: join(backupDir, label),
    kind: 'physical',
    createdAt: '2026-11-20T19:54:00.000Z',
    state: 'good',
    pgVersion: 15,
    systemIdentifier: '77',
    sizeBytes: 1,
  } as const;
}

async function copied(seal: Seal = plainSeal, change: (store: Store) => Store = (store) => store) {
  const [backupDir, memoryDir, away] = [await folder(), join(await folder(), 'memory'), await folder()];
  const store = openDirectoryStore({ path: away, clock });
  const place = openPlace(change(store), seal, '77');
  const needs = { place, backupDir, memoryDir, system, held: plainBackups };
  return { needs, place, store, backupDir, memoryDir, away };
}

async function expectBack(place: Place, label: string, contents: Readonly<Record<string, Buffer>>): Promise<void> {
  const to = await folder();
  const manifest = await place.manifest((await place.summary(label, signal))!, signal);
  await bringBack(place, manifest, { directory: join(to, label), record: join(to, 'record.json'), owner: undefined }, signal);
  for (const [path, bytes] of Object.entries(contents)) expect((await readFile(join(to, label, path))).equals(bytes), path).toBe(true);
  expect((await stat(join(to, label, 'pg_twophase'))).isDirectory()).toBe(true);
  expect(await readFile(join(to, 'record.json'), 'utf8')).toBe(`{"label":"${label}"}\n`);
}

const nothing = async (): Promise<undefined> => undefined;
const FIRST = {
  PG_VERSION: Buffer.from('15\n'),
  empty: Buffer.alloc(0),
  'base/5/1': noise(1, 3_000_000),
  'base/5/a b': Buffer.alloc(5_000_000),
};

test('a backup comes back from a copy byte for byte, and the second copy sends only pages that changed', async () => {
  const { needs, place, backupDir } = await copied();
  const first = await backupIn(backupDir, 'data_20261120_195400', FIRST);
  const one = await copyOut(needs, first, nothing, signal);
  expect(one.sentBytes).toBeGreaterThan(3_000_000);
  const changed = Buffer.from(FIRST['base/5/1']);
  noise(9, 8192).copy(changed, 8192 * 40);
  const second = { ...FIRST, 'base/5/1': Buffer.concat([changed, noise(4, 100)]), 'base/5/2': Buffer.from('new') };
  const two = await copyOut(needs, await backupIn(backupDir, 'data_20261120_205400', second), nothing, signal);
  expect(two.sentBytes).toBeLessThan(60_000);
  expect((await copyOut(needs, first, nothing, signal)).sentBytes).toBe(0);
  await expectBack(place, 'data_20261120_195400', FIRST);
  await expectBack(place, 'data_20261120_205400', second);
});

test('encrypted: the store shows nothing of the data, and only the identity opens it', async () => {
  const { identity, recipient } = await newIdentity();
  const { needs, place, store, backupDir } = await copied(ageSeal([recipient], async () => new Secret(identity)));
  const secret = Buffer.from('the salary of everybody '.repeat(50));
  await copyOut(needs, await backupIn(backupDir, 'data_20261120_195400', { 'base/5/1': secret }), nothing, signal);
  for (const { key } of await store.list('', signal)) expect((await store.get(key, signal))!.includes('salary'), key).toBe(false);
  await expectBack(place, 'data_20261120_195400', { 'base/5/1': secret });
  const other = await newIdentity();
  const summary = (await place.summary('data_20261120_195400', signal))!;
  for (const wrong of [async () => new Secret(other.identity), nothing])
    await expect(openPlace(store, ageSeal([recipient], wrong), '77').manifest(summary, signal)).rejects.toMatchObject({
      code: 'key.unusable',
    });
});

test('cut off at any put, nothing is listed, and the next run sends only what is missing', async () => {
  let left = 0;
  const breaking = (store: Store): Store => ({
    ...store,
    async put(...rest) {
      if (left === 0) throw new DbkitError('store.unavailable', 'the network is gone');
      left -= 1;
      return store.put(...rest);
    },
  });
  const { identity, recipient } = await newIdentity();
  const { needs, place, backupDir, store } = await copied(
    ageSeal([recipient], async () => new Secret(identity)),
    breaking,
  );
  const contents = { 'base/5/1': noise(1, 14_000_000) };
  const backup = await backupIn(backupDir, 'data_20261120_195400', contents);
  let attempts = 0;
  for (;;) {
    left = 1; // Each run gets one object further.
    attempts += 1;
    const done = await copyOut(needs, backup, nothing, signal).then(
      () => true,
      () => false,
    );
    if (done) break;
    expect(await place.summary(backup.label, signal)).toBeUndefined();
    await appendFile(join(needs.memoryDir, 'packs.jsonl'), '["torn'); // A kill in the middle of a line.
    await appendFile(join(needs.memoryDir, 'packs.jsonl'), '\n');
    if (attempts >= 3) left = 2; // Manifest and summary are one publication.
    if (attempts >= 3) break;
  }
  left = 9;
  await copyOut(needs, backup, nothing, signal);
  expect((await store.list('v1/77/packs/', signal)).length).toBe(2);
  await expectBack(place, backup.label, contents);
});

test('what this machine knew of the copy is lost: it is sent again, and both come back', async () => {
  const { needs, place, backupDir, memoryDir } = await copied();
  await copyOut(needs, await backupIn(backupDir, 'data_20261120_195400', FIRST), nothing, signal);
  await rm(memoryDir, { recursive: true });
  await copyOut(needs, await backupIn(backupDir, 'data_20261120_205400', FIRST), nothing, signal);
  await writeFile(join(memoryDir, 'newest.manifest.zst'), 'garbage that is longer than a head');
  await copyOut(needs, await backupIn(backupDir, 'data_20261120_215400', FIRST), nothing, signal);
  for (const label of ['data_20261120_195400', 'data_20261120_205400', 'data_20261120_215400']) await expectBack(place, label, FIRST);
});

test('a pack that the store has lost is not relied on', async () => {
  const { needs, place, backupDir, store } = await copied();
  await copyOut(needs, await backupIn(backupDir, 'data_20261120_195400', FIRST), nothing, signal);
  for (const { key } of await store.list('v1/77/packs/', signal)) await store.remove(key, signal);
  await copyOut(needs, await backupIn(backupDir, 'data_20261120_205400', FIRST), nothing, signal);
  await expectBack(place, 'data_20261120_205400', FIRST);
});

test.each(['truncated', 'swapped', 'missing'])('a %s pack is told, and nothing of it is taken for the data', async (how) => {
  const { needs, place, backupDir, store, away } = await copied();
  await copyOut(needs, await backupIn(backupDir, 'data_20261120_195400', { 'base/5/1': noise(1, 15_000_000) }), nothing, signal);
  const [one, other] = (await store.list('v1/77/packs/', signal)).map(({ key }) => join(away, key));
  if (how === 'missing') await rm(one!);
  if (how === 'swapped') await writeFile(one!, await readFile(other!));
  if (how === 'truncated') {
    const handle = await open(one!, 'r+');
    await handle.truncate(1000);
    await handle.close();
  }
  await expect(expectBack(place, 'data_20261120_195400', {})).rejects.toMatchObject({ code: 'data.corrupt' });
});

test('the manifest of another copy, under the name of this one, is not taken for it', async () => {
  const { needs, place, backupDir, store, away } = await copied();
  const label = 'data_20261120_195400';
  await copyOut(needs, await backupIn(backupDir, label, FIRST), nothing, signal);
  const { manifest } = (await place.summary(label, signal))!;
  const other = await copied();
  const forged = { ...FIRST, PG_VERSION: Buffer.from('16\n') };
  await copyOut(other.needs, await backupIn(other.backupDir, label, forged), nothing, signal);
  const theirs = (await other.place.summary(label, signal))!.manifest;
  for (const { key } of await other.store.list('v1/77/packs/', signal)) await store.put(key, await readFile(join(other.away, key)), signal); // Everything that it names is there.
  await writeFile(join(away, 'v1/77', manifest.key), await readFile(join(other.away, 'v1/77', theirs.key)));
  await expect(expectBack(place, label, FIRST)).rejects.toMatchObject({ code: 'data.corrupt' });
});

test('a manifest comes back as it was written; one that is cut, or leads elsewhere, is refused', () => {
  const manifest = {
    label: 'data_20261120_195400',
    systemIdentifier: '77',
    packs: [{ key: `packs/${'a'.repeat(64)}.age`, storedBytes: 9, frames: [4, 5] }],
    directories: ['', '/base', '/base/5'].map((path) => `data_20261120_195400${path}` as BytePath),
    files: [
      {
        path: 'data_20261120_195400/base/5/ü\t\\\n%' as BytePath,
        mode: 0o600,
        sizeBytes: 7,
        sha256: 'b'.repeat(64),
        runs: [{ pack: 0, offset: 3, length: 7 }],
      },
    ],
  };
  const text = renderManifest(manifest);
  expect(parseManifest(text)).toEqual(manifest);
  for (const wrong of [
    text.slice(0, -9),
    text.replace('\t7\n', '\t6\n'),
    text.replace('/base/5/', '/../../5/'),
    text.replace('R\t0', 'R\t1'),
    text.replace('D\tdata', 'D\tetc'),
    '',
  ])
    expect(() => parseManifest(wrong)).toThrow(DbkitError);
  const [file] = manifest.files;
  const path = (words: string): BytePath => words as BytePath;
  for (const wrong of [
    { ...manifest, files: [file!, file!] },
    { ...manifest, files: [{ ...file!, path: path('data_20261120_195400/base/6/1') }] },
    { ...manifest, files: [{ ...file!, path: path('data_20261120_195400') }] },
    { ...manifest, files: [{ ...file!, path: path('data_20261120_195400/base/5') }] },
    { ...manifest, directories: manifest.directories.toReversed() },
    { ...manifest, packs: [{ ...manifest.packs[0]!, frames: Array.from({ length: 33 }, () => 1) }] },
  ])
    expect(() => parseManifest(renderManifest(wrong)), JSON.stringify(wrong)).toThrow(DbkitError);
});

test('a part of a file lies in the parts of its runs', () => {
  const runs = [
    { pack: 0, offset: 100, length: 10 },
    { pack: 2, offset: 0, length: 10 },
  ];
  expect(slice(runs, 5, 10)).toEqual([
    { pack: 0, offset: 105, length: 5 },
    { pack: 2, offset: 0, length: 5 },
  ]);
  expect(slice(runs, 10, 1)).toEqual([{ pack: 2, offset: 0, length: 1 }]);
});

test('WAL: whole segments once, the tail as far as it has come, and all of it back into an empty repository', async () => {
  const { place, store, backupDir } = await copied();
  const name = (number: number): string => `0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`;
  const full = (number: number): Buffer => segment(number, run(number, FULL));
  const writer = openWriter({ repositoryDir: backupDir, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
  await writer.keepWhole(name(3), full(3), signal);
  const tail = await writer.openTail(name(4), 0);
  await tail.append(full(4).subarray(0, 20_000));
  expect(await copyWal(place, { backupDir: backupDir, summaries: [] }, files, signal)).toMatchObject({ segments: 2 });
  await tail.append(full(4).subarray(20_000, 30_000));
  await tail.close();
  await copyWal(place, { backupDir: backupDir, summaries: [] }, files, signal);
  expect((await copyWal(place, { backupDir: backupDir, summaries: [] }, files, signal)).sentBytes).toBe(0);
  const [empty] = [await folder()];
  expect(await bringWalBack(place, empty, files, signal)).toBe(2);
  expect(await bringWalBack(place, empty, files, signal)).toBe(0);
  const [timeline] = await openArchive(empty, '77', files).timelines(signal);
  expect(timeline!.segments).toMatchObject([
    { name: name(3), kind: 'whole' },
    { name: name(4), kind: 'tail', sizeBytes: 30_000 },
  ]);
  await writer.keepWhole(name(4), full(4), signal);
  await copyWal(place, { backupDir: backupDir, summaries: [] }, files, signal);
  expect((await store.list('v1/77/wal/00000001/tail/', signal)).length).toBe(0);
});

test('a key is never overwritten, and only its owner may read it', async () => {
  const file = join(await folder(), 'key.txt');
  const { recipient } = await createKey(file, clock.now());
  expect(recipient).toMatch(/^age1[a-z0-9]{58}$/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await expect(createKey(file, clock.now())).rejects.toMatchObject({ code: 'file.exists' });
  const seal = ageSeal([recipient], async () => new Secret(await readFile(file, 'utf8')));
  expect((await seal.open(await seal.close(Buffer.from('x')))).toString()).toBe('x');
  const sealed = await seal.close(noise(1, 200_000));
  await expect(seal.open(sealed.subarray(0, 150_000))).rejects.toMatchObject({ code: 'data.corrupt' });
  expect(await readdir(join(file, '..'))).toEqual(['key.txt']);
});

test.each(['{"schema":"dbkit.wal/v1","systemIdentifier":"78","segmentSizeBytes":16777216}', '{}', 'garbage'])(
  'a record of WAL that somebody else has put into the copy is not taken for the archive’s own: %s',
  async (record) => {
    const { place, store } = await copied();
    await store.put('v1/77/wal/archive.json', Buffer.from(record), signal);
    const empty = await folder();
    await expect(bringWalBack(place, empty, files, signal)).rejects.toBeInstanceOf(DbkitError);
    expect(await readArchiveRecord(join(empty, 'wal/77'))).toBeUndefined();
  },
);

test('a backup whose summary says that it is small needs the room that its files need', async () => {
  const { needs, place, backupDir } = await copied();
  const label = 'data_20261120_195400';
  await copyOut(needs, await backupIn(backupDir, label, FIRST), nothing, signal);
  const manifest = await place.manifest((await place.summary(label, signal))!, signal);
  expect(writtenBytes(manifest)).toBe(Object.values(FIRST).reduce((sum, { length }) => sum + length, 0) + `{"label":"${label}"}\n`.length);
});

test('a new identity goes into a file of its own: through no link, over nothing, and into a folder that is there', async () => {
  const [mine, theirs] = [await folder(), await folder()];
  await symlink(join(theirs, 'stolen'), join(mine, 'identity'));
  await expect(createKey(join(mine, 'identity'), clock.now())).rejects.toMatchObject({ code: 'file.exists' });
  expect(await readdir(theirs)).toEqual([]);
  await expect(createKey(join(mine, 'none/identity'), clock.now())).rejects.toMatchObject({ code: 'usage.invalid' });
});
