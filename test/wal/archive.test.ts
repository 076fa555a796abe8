import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { contentBytes, loadWebAssembly, zstd } from '../../src/formats/zstd.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { openArchive, sha16Of } from '../../src/wal/archive.ts';
import { type ArchiveWriter, openWriter } from '../../src/wal/writer.ts';
import { FULL, run, SIZE, segment } from '../harness/wal-files.ts';

const { signal } = new AbortController();
const files = createFiles(createLogger('error', () => undefined));
const nameOf = (number: number, timeline = 1): string =>
  [timeline, 0, number].map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('');
const full = (number: number): Buffer => segment(number, run(number, FULL));

async function repository(): Promise<{ dir: string; archive: ReturnType<typeof openArchive>; writer: ArchiveWriter }> {
  const dir = await mkdtemp(join(tmpdir(), 'dbkit-archive-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const writer = openWriter({ repositoryDir: dir, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
  return { dir, archive: openArchive(dir, '77', files), writer };
}

test('nothing has been kept: no timelines, and nothing can be fetched', async () => {
  const { dir, archive } = await repository();
  expect(await archive.timelines(signal)).toEqual([]);
  expect(await archive.fetch(nameOf(3), join(dir, 'out'), signal)).toBe(false);
});

test('a whole segment is kept once, and comes back as it was', async () => {
  const { dir, archive, writer } = await repository();
  expect(await writer.keepWhole(nameOf(3), full(3), signal)).toBe('kept');
  expect(await writer.keepWhole(nameOf(3), full(3), signal)).toBe('there');
  const [timeline] = await archive.timelines(signal);
  expect(timeline).toMatchObject({ id: 1, history: [] });
  expect(timeline!.segments).toMatchObject([
    { name: nameOf(3), kind: 'whole', startLsn: BigInt(3 * SIZE), endLsn: BigInt(4 * SIZE), sizeBytes: SIZE },
  ]);
  expect((await archive.read(timeline!.segments[0]!, signal)).equals(full(3))).toBe(true);
  expect(await archive.fetch(nameOf(3), join(dir, 'out'), signal)).toBe(true);
  expect((await readFile(join(dir, 'out'))).equals(full(3))).toBe(true);
  expect(await archive.fetch(nameOf(3, 2), join(dir, 'out'), signal)).toBe(false);
});

test('a torn tail ends where it was cut; it grows on from there, and gives way to its whole segment', async () => {
  const { dir, archive, writer } = await repository();
  const tail = await writer.openTail(nameOf(3), 0);
  await tail.append(full(3).subarray(0, 20_000));
  await tail.close();
  const again = await writer.openTail(nameOf(3), 16_384);
  await again.append(full(3).subarray(16_384, 30_000));
  expect(again.lengthBytes()).toBe(30_000);
  await again.close();
  const [timeline] = await archive.timelines(signal);
  expect(timeline!.segments).toMatchObject([{ kind: 'tail', endLsn: BigInt(3 * SIZE + 30_000), sizeBytes: 30_000 }]);
  expect((await archive.read(timeline!.segments[0]!, signal)).equals(full(3).subarray(0, 30_000))).toBe(true);
  await archive.fetch(nameOf(3), join(dir, 'out'), signal);
  expect((await readFile(join(dir, 'out'))).equals(Buffer.concat([full(3).subarray(0, 30_000), Buffer.alloc(SIZE - 30_000)]))).toBe(true);
  await writer.keepWhole(nameOf(3), full(3), signal);
  expect((await archive.timelines(signal))[0]!.segments).toMatchObject([{ kind: 'whole' }]);
  expect(await writer.tailLength(nameOf(3))).toBeUndefined();
});

test('two hashes for one name are both listed, and neither is chosen', async () => {
  const { dir, archive, writer } = await repository();
  const other = segment(3, run(3, 5));
  await writer.keepWhole(nameOf(3), full(3), signal);
  await expect(writer.keepWhole(nameOf(3), other, signal)).rejects.toMatchObject({ code: 'wal.conflict' });
  const folder = join(archive.dir, '00000001');
  expect(await readdir(folder)).toEqual([`${nameOf(3)}-${sha16Of(full(3))}.zst`]);
  await writeFile(join(folder, `${nameOf(3)}-${sha16Of(other)}.zst`), await (await zstd()).compress(other));
  expect((await archive.timelines(signal))[0]!.segments.map(({ sha16 }) => sha16).sort()).toEqual(
    [sha16Of(full(3)), sha16Of(other)].sort(),
  );
  await expect(archive.fetch(nameOf(3), join(dir, 'out'), signal)).rejects.toMatchObject({ code: 'wal.conflict' });
  await expect(writer.keepWhole(nameOf(3), full(3), signal)).rejects.toMatchObject({ code: 'wal.conflict' });
});

test('a segment of another cluster, or under another name, is refused', async () => {
  const { dir, archive, writer } = await repository();
  const foreign = Buffer.from(full(3));
  foreign.writeBigUInt64LE(78n, 24);
  await expect(writer.keepWhole(nameOf(3), foreign, signal)).rejects.toMatchObject({ code: 'wal.foreign', message: /cluster 78/ });
  await expect(writer.keepWhole(nameOf(4), full(3), signal)).rejects.toMatchObject({ code: 'wal.foreign' });
  await expect(writer.keepWhole(nameOf(3), full(3).subarray(0, 8192), signal)).rejects.toMatchObject({ code: 'wal.foreign' });
  await expect(writer.keepWhole('00000002.history', full(3), signal)).rejects.toMatchObject({ code: 'wal.foreign' });
  await writer.keepWhole(nameOf(3), full(3), signal);
  const wider = openWriter({ repositoryDir: dir, systemIdentifier: '77', segmentSizeBytes: 2 * SIZE, owner: undefined, files });
  await expect(wider.keepHistory(2, Buffer.from('1\t0/300000\twhy\n'))).rejects.toMatchObject({ code: 'wal.foreign' });
  expect((await archive.timelines(signal)).flatMap(({ segments }) => segments)).toHaveLength(1);
});

test('a history is kept once and never overwritten', async () => {
  const { dir, archive, writer } = await repository();
  const text = Buffer.from('1\t0/3000028\tno recovery target specified\n\n');
  expect(await writer.keepHistory(2, text)).toBe('kept');
  expect(await writer.keepHistory(2, text)).toBe('there');
  await expect(writer.keepHistory(2, Buffer.from('1\t0/4000028\tbefore 2026\n'))).rejects.toMatchObject({ code: 'wal.conflict' });
  expect(await archive.timelines(signal)).toEqual([
    { id: 2, segments: [], history: [{ timeline: 1, switchLsn: 0x3000028n, reason: 'no recovery target specified' }] },
  ]);
  expect(await archive.fetch('00000002.history', join(dir, 'out'), signal)).toBe(true);
  expect(await readFile(join(dir, 'out'))).toEqual(text);
});

test.each(['cut', 'flipped', 'of another segment'] as const)('a kept segment that is %s is damaged, not missing', async (how) => {
  const { dir, archive, writer } = await repository();
  await writer.keepWhole(nameOf(3), full(3), signal);
  const path = join(archive.dir, '00000001', `${nameOf(3)}-${sha16Of(full(3))}.zst`);
  const stored = await readFile(path);
  const broken = {
    cut: stored.subarray(0, stored.length - 10),
    flipped: Buffer.concat([stored.subarray(0, 200), Buffer.from([stored[200]! ^ 1]), stored.subarray(201)]),
    'of another segment': await (await zstd()).compress(full(4)),
  }[how];
  await writeFile(path, broken);
  await expect(archive.fetch(nameOf(3), join(dir, 'out'), signal)).rejects.toMatchObject({ code: 'wal.damaged' });
});

test.each(['pipe', 'endless', 'enormous'] as const)(
  'in place of a file of the archive a %s is damage, and nobody waits for it',
  async (what) => {
    const { dir, archive, writer } = await repository();
    await writer.keepHistory(2, Buffer.from('1\t0/3000028\tno recovery target specified\n'));
    await writer.keepWhole(nameOf(3), full(3), signal);
    const history = join(archive.dir, '00000002', '00000002.history');
    const tail = join(archive.dir, '00000001', `${nameOf(4)}.tail`);
    const whole = join(archive.dir, '00000001', `${nameOf(3)}-${sha16Of(full(3))}.zst`);
    for (const path of [history, tail, whole]) {
      await rm(path, { force: true });
      if (what === 'pipe') execFileSync('mkfifo', [path]);
      if (what === 'endless') await symlink('/dev/zero', path);
      if (what === 'enormous') execFileSync('truncate', ['--size=64M', path]);
    }
    const damaged = { code: 'wal.damaged' };
    await expect(archive.timelines(signal)).rejects.toMatchObject(damaged);
    await expect(archive.fetch('00000002.history', join(dir, 'out'), signal)).rejects.toMatchObject(damaged);
    await expect(writer.keepHistory(2, Buffer.from('x'))).rejects.toMatchObject(damaged);
    await expect(writer.tailLength(nameOf(4))).rejects.toMatchObject(damaged);
    if (what === 'enormous') await expect(archive.fetch(nameOf(3), join(dir, 'out'), signal)).rejects.toMatchObject(damaged);
    else expect(await archive.fetch(nameOf(3), join(dir, 'out'), signal)).toBe(false);
  },
);

test("what is no WAL in the folders is nobody's", async () => {
  const { archive, writer } = await repository();
  await writer.keepWhole(nameOf(3), full(3), signal);
  await mkdir(join(archive.dir, 'lost+found'));
  await writeFile(join(archive.dir, '00000001', `${nameOf(3)}.idx`), '{}');
  await writeFile(join(archive.dir, '00000001', `${nameOf(3)}-0123456789abcdef.zst.8f3e2a11.tmp`), 'half');
  expect((await archive.timelines(signal)).map(({ id, segments }) => [id, segments.length])).toEqual([[1, 1]]);
  await writeFile(join(archive.dir, 'archive.json'), '{"schema":"dbkit.wal/v1","systemIdentifier":"77","segmentSizeBytes":5}');
  await expect(archive.timelines(signal)).rejects.toMatchObject({ code: 'wal.damaged' });
});

test('zstd gives back what it was given, and no more than is expected', async () => {
  for (const { compress, decompress } of [await zstd(), await loadWebAssembly()]) {
    const packed = await compress(full(3));
    expect(packed.length).toBeLessThan(SIZE / 4);
    expect((await decompress(packed, SIZE)).equals(full(3))).toBe(true);
    await expect(decompress(packed, SIZE - 1)).rejects.toThrow();
    await expect(decompress(Buffer.from('this is no frame at all'), SIZE)).rejects.toThrow();
    expect((await decompress(await compress(Buffer.alloc(0)), 10)).length).toBe(0);
  }
});

test.each([0, 100, 300, 70_000] as const)('a frame of %i bytes says how much it holds', async (length) => {
  expect(contentBytes(await (await loadWebAssembly()).compress(Buffer.alloc(length, 1)))).toBe(length);
});
