import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { openArchive, sha16Of } from '../../src/wal/archive.ts';
import { openWriter } from '../../src/wal/writer.ts';
import { FULL, run, SIZE, segment } from '../harness/wal-files.ts';

const { signal } = new AbortController();
const shim = resolve('bin/dbkit-wal');
const files = createFiles(createLogger('error', () => undefined));
const NAME = '000000010000000000000003';
const full = segment(3, run(3, FULL));

/** A data directory with a pg_control that begins as one does, and a repository. */
async function place(): Promise<{
  data: string;
  repository: string;
  archive: ReturnType<typeof openArchive>;
  ask(...words: string[]): number | null;
}> {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-shim-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const [data, repository] = [join(root, 'data'), join(root, "the repository's")];
  await mkdir(join(data, 'global'), { recursive: true });
  await mkdir(join(data, 'pg_wal'));
  await mkdir(repository);
  const control = Buffer.alloc(64);
  control.writeBigUInt64LE(77n, 0);
  await writeFile(join(data, 'global/pg_control'), control);
  const ask = (...words: string[]): number | null => spawnSync(shim, ['-d', repository, ...words], { cwd: data, encoding: 'utf8' }).status;
  return { data, repository, archive: openArchive(repository, '77', files), ask };
}

test('a pushed segment is kept once, read by dbkit, and fetched again', async () => {
  const { data, archive, ask } = await place();
  await writeFile(join(data, 'pg_wal', NAME), full);
  expect(ask('fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(126);
  expect(ask('push', `pg_wal/${NAME}`)).toBe(0);
  expect(ask('push', `pg_wal/${NAME}`)).toBe(0);
  expect(await readdir(join(archive.dir, '00000001'))).toEqual([`${NAME}-${sha16Of(full)}.plain`]);
  const [timeline] = await archive.timelines(signal);
  expect((await archive.read(timeline!.segments[0]!, signal)).equals(full)).toBe(true);
  expect(ask('fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(0);
  expect((await readFile(join(data, 'pg_wal/RECOVERYXLOG'))).equals(full)).toBe(true);
  expect(ask('fetch', '000000010000000000000004', 'pg_wal/RECOVERYXLOG')).toBe(1);
  expect(ask('fetch', '00000002.history', 'pg_wal/RECOVERYHISTORY')).toBe(1);
});

test('for a standby an archive that cannot be reached is one without the segment: it gets it from its leader', async () => {
  const { data, archive, ask } = await place();
  expect(ask('-s', 'fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(1);
  await writeFile(join(data, 'pg_wal', NAME), full);
  expect(ask('push', `pg_wal/${NAME}`)).toBe(0);
  expect(ask('-s', 'fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(0);
  const path = join(archive.dir, '00000001', `${NAME}-${sha16Of(full)}.plain`);
  await chmod(path, 0o600);
  await writeFile(path, 'damaged');
  expect(ask('-s', 'fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(1);
  expect(ask('fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(126);
});

test.each([
  ['of another cluster', (bytes: Buffer) => bytes.writeBigUInt64LE(78n, 24), NAME],
  ['recycled under a later name', () => undefined, '000000010000000000000005'],
  ['cut', undefined, NAME],
] as const)('a segment that is %s is not kept, and the archiver may try again', async (_how, change, name) => {
  const { data, archive, ask } = await place();
  const bytes = Buffer.from(full);
  change?.(bytes);
  await writeFile(join(data, 'pg_wal', name), change ? bytes : bytes.subarray(0, SIZE / 2));
  const status = ask('push', `pg_wal/${name}`);
  expect(status).toBeGreaterThan(0);
  expect(status).toBeLessThanOrEqual(125);
  expect(await archive.timelines(signal)).toEqual([]);
});

test('another segment of that name, and another history, are never overwritten', async () => {
  const { data, archive, ask } = await place();
  await writeFile(join(data, 'pg_wal', NAME), full);
  await writeFile(join(data, 'pg_wal/00000002.history'), '1\t0/3000028\twhy\n');
  expect([ask('push', `pg_wal/${NAME}`), ask('push', 'pg_wal/00000002.history'), ask('push', 'pg_wal/00000002.history')]).toEqual([
    0, 0, 0,
  ]);
  await writeFile(join(data, 'pg_wal', NAME), segment(3, run(3, 5)));
  await writeFile(join(data, 'pg_wal/00000002.history'), '1\t0/4000028\tanother\n');
  expect([ask('push', `pg_wal/${NAME}`), ask('push', 'pg_wal/00000002.history')]).toEqual([1, 1]);
  expect((await archive.timelines(signal)).flatMap(({ segments }) => segments)).toHaveLength(1);
  expect(ask('fetch', '00000002.history', 'pg_wal/RECOVERYHISTORY')).toBe(0);
  expect(await readFile(join(data, 'pg_wal/RECOVERYHISTORY'), 'utf8')).toBe('1\t0/3000028\twhy\n');
});

test('what dbkit has kept is fetched: packed, or the tail with zeroes behind it', async () => {
  const { data, repository, archive, ask } = await place();
  const writer = openWriter({ repositoryDir: repository, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
  await writer.keepWhole(NAME, full, signal);
  const tail = await writer.openTail('000000010000000000000004', 0);
  await tail.append(segment(4, run(4, 200)).subarray(0, 20_000));
  await tail.close();
  expect(ask('fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(0);
  expect((await readFile(join(data, 'pg_wal/RECOVERYXLOG'))).equals(full)).toBe(true);
  expect(ask('fetch', '000000010000000000000004', 'pg_wal/RECOVERYXLOG')).toBe(0);
  const fetched = await readFile(join(data, 'pg_wal/RECOVERYXLOG'));
  expect(fetched.length).toBe(SIZE);
  expect(fetched.subarray(0, 20_000).equals(segment(4, run(4, 200)).subarray(0, 20_000))).toBe(true);
  expect(fetched.subarray(20_000).every((byte) => byte === 0)).toBe(true);
  await writeFile(join(archive.dir, '00000001', `${NAME}-${sha16Of(full)}.zst`), 'no frame');
  expect(ask('fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(126);
});

test('a repository that cannot be written fails the push, and one that is not there stops a recovery', async () => {
  const { data, repository, ask } = await place();
  await writeFile(join(data, 'pg_wal', NAME), full);
  await rm(repository, { recursive: true });
  await writeFile(repository, 'a file');
  expect(ask('push', `pg_wal/${NAME}`)).toBe(1);
  expect(ask('fetch', NAME, 'pg_wal/RECOVERYXLOG')).toBe(126);
  await chmod(join(data, 'global'), 0o700);
  await rm(join(data, 'global/pg_control'));
  expect([ask('push', `pg_wal/${NAME}`), ask('fetch', NAME, 'x'), ask('what')]).toEqual([1, 126, 126]);
});
