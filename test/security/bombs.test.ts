import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseJson } from '../../src/backups/names.ts';
import { bringWalBack } from '../../src/backups/offsite/bring-wal.ts';
import { packManifest, unpackManifest } from '../../src/backups/offsite/manifest.ts';
import { openPlace } from '../../src/backups/offsite/place.ts';
import type { BytePath } from '../../src/formats/byte-path.ts';
import { zstd } from '../../src/formats/zstd.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { plainSeal } from '../../src/store/age.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';
import { cluster } from '../harness/wal-files.ts';

/** Some KiB in a copy, or in the repository, that are some GiB once they are unpacked or parsed. */
const MiB = 1024 * 1024;
const { signal } = new AbortController();
const files = createFiles(createLogger('error', () => undefined));
const label = 'data_20261120_195400';
const HEAD = `dbkit.copy/v1\t${label}\t77\n`;

function placeOfACopy() {
  const path = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  mkdirSync(join(path, 'copy'));
  mkdirSync(join(path, 'here'));
  const store = openDirectoryStore({ path: join(path, 'copy'), clock });
  return { store, place: openPlace(store, plainSeal, '77'), here: join(path, 'here') };
}

test.each([
  ['nothing but line ends', Buffer.alloc(65 * MiB, '\n')],
  ['runs without end', Buffer.alloc(65 * MiB, 'R\t0\t0\t1\n')],
])('the manifest of a copied backup that is unpacked without end is damage: %s', async (_name, lines) => {
  const { store, place } = placeOfACopy();
  const sealed = await (await zstd()).compress(Buffer.concat([Buffer.from(HEAD), lines]));
  expect(sealed.length).toBeLessThan(MiB);
  const sha256 = createHash('sha256').update(sealed).digest('hex');
  const key = `backups/${label}-${sha256.slice(0, 16)}.manifest.zst`;
  await store.put(`v1/77/${key}`, sealed, signal);
  const summary = { label, manifest: { key, sha256 } } as Parameters<typeof place.manifest>[0];
  await expect(place.manifest(summary, signal)).rejects.toMatchObject({
    code: 'data.corrupt',
    message: expect.stringContaining('cannot be unpacked'),
  });
});

test('runs of nothing are none, and what could not be read again is not written', async () => {
  const manifest = (path: string, runs: number) => ({
    label,
    systemIdentifier: '77',
    packs: [{ key: `packs/${'a'.repeat(64)}`, storedBytes: 9, frames: [9] }],
    directories: [label as BytePath],
    files: [
      {
        path: `${label}/${path}` as BytePath,
        mode: 0o600,
        sizeBytes: runs,
        sha256: 'b'.repeat(64),
        runs: Array.from({ length: runs }, () => ({ pack: 0, offset: 0, length: 1 })),
      },
    ],
  });
  const sound = manifest('one', 3);
  expect(await unpackManifest(await packManifest(sound))).toEqual(sound);
  const empty = { ...sound, files: [{ ...sound.files[0]!, runs: [...sound.files[0]!.runs, { pack: 0, offset: 0, length: 0 }] }] };
  await expect(packManifest(empty).then(unpackManifest)).rejects.toMatchObject({ code: 'data.corrupt' });
  await expect(packManifest(sound, 100)).rejects.toMatchObject({ code: 'recovery.refused' }); // Not a bug of dbkit's.
});

test('WAL in a copy that is unpacked beyond its segment is damage, and nothing of it stays', async () => {
  const { store, place, here } = placeOfACopy();
  const record = { schema: 'dbkit.wal/v1', ...cluster };
  await store.put('v1/77/wal/archive.json', Buffer.from(JSON.stringify(record)), signal);
  const bomb = await (await zstd()).compress(Buffer.alloc(256 * MiB));
  const whole = 'v1/77/wal/00000001/000000010000000000000001-0123456789abcdef.zst';
  await store.put(whole, bomb, signal);
  await expect(bringWalBack(place, here, files, signal)).rejects.toMatchObject({ code: 'data.corrupt' });
  await store.remove(whole, signal);
  const tail = 'v1/77/wal/00000001/tail/000000010000000000000001';
  const one = await (await zstd()).compress(Buffer.alloc(cluster.segmentSizeBytes));
  for (let at = 0; at < 40; at += 1) {
    const [from, to] = [at, at + 1].map((number) => (number * cluster.segmentSizeBytes).toString(16).padStart(8, '0'));
    await store.put(`${tail}-0001-${from}-${to}.zst`, one, signal);
  }
  await expect(bringWalBack(place, here, files, signal)).rejects.toMatchObject({ code: 'data.corrupt' });
  expect(readdirSync(join(here, 'wal/77'))).toEqual(['archive.json']);
});

test.each(['[],', '{},', '[[]],'])('JSON of a backup that takes many times its size in memory is damage: %s', (part) => {
  const text = Buffer.from(`[${part.repeat(MiB)}0]`);
  expect(() => parseJson(text, 'it')).toThrow(expect.objectContaining({ code: 'data.corrupt' }));
});

test('a row for each of many files is none such', () => {
  const rows = Array.from({ length: 20_000 }, (_, at) => [`base/5/${at}`, 0, '1', '1', '1']);
  expect(
    parseJson(Buffer.from(JSON.stringify({ label, damage: Array.from({ length: 900 }, () => ({})), sources: rows })), 'it'),
  ).toMatchObject({ label });
});
