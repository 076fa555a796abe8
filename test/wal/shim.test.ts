import { spawn, spawnSync } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createFiles } from '../../src/machine/files.ts';
import { namesIn } from '../../src/machine/is-there.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { openArchive, sha16Of } from '../../src/wal/archive.ts';
import { openWriter } from '../../src/wal/writer.ts';
import { asServerUser, isRoot, serverUser } from '../harness/as-user.ts';
import { until } from '../harness/processes.ts';
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
  /** In which it is asked. */
  environment: NodeJS.ProcessEnv;
  /** A server runs there, as far as postmaster.pid tells. */
  serve(): Promise<void>;
  /** What was unpacked for it ahead. */
  ahead(): Promise<readonly string[]>;
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
  const environment = { ...process.env };
  const ask = (...words: string[]): number | null => {
    if (isRoot) spawnSync('chown', ['-R', `${serverUser.uid}:${serverUser.gid}`, root]);
    return spawnSync(shim, ['-d', repository, ...words], { ...asServerUser, cwd: data, env: environment, stdio: 'ignore' }).status;
  };
  const wal = join(data, 'pg_wal');
  return {
    data,
    repository,
    archive: openArchive(repository, '77', files),
    ask,
    environment,
    async serve() {
      const server = spawn('sleep', ['1000'], { ...asServerUser, stdio: 'ignore' });
      onTestFinished(() => void server.kill());
      await writeFile(join(data, 'postmaster.pid'), `${server.pid}\n${data}\n1700000000\n`);
    },
    async ahead() {
      const [folder] = (await readdir(wal)).filter((name) => name.startsWith('.dbkit-ahead-'));
      return folder === undefined ? [] : (await namesIn(join(wal, folder))).filter((name) => !name.endsWith('.part'));
    },
  };
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

const laid = async (data: string): Promise<readonly string[]> =>
  (await readdir(join(data, 'pg_wal'))).filter((name) => name.startsWith('.dbkit-ahead-'));
const nameOf = (number: number): string => number.toString(16).toUpperCase().padStart(8, '0').padStart(24, '000000010000000000000000');
const LAST = 14;

/** Segments 3 to 14, packed as dbkit keeps them; each with its own bytes. */
async function keepMany(repository: string): Promise<ReadonlyMap<string, Buffer>> {
  const writer = openWriter({ repositoryDir: repository, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
  const kept = new Map<string, Buffer>();
  for (let number = 3; number <= LAST; number += 1) {
    const bytes = segment(number, run(number, 10 + number));
    kept.set(nameOf(number), bytes);
    await writer.keepWhole(nameOf(number), bytes, signal);
  }
  return kept;
}

/** A PATH that has everything but zstd(1). */
async function withoutZstd(root: string): Promise<string> {
  const folder = join(root, 'programs');
  await mkdir(folder);
  const programs = new Map<string, string>();
  for (const from of ['/bin', '/usr/bin', dirname(process.execPath)]) for (const name of await namesIn(from)) programs.set(name, from);
  for (const [name, from] of programs) if (!name.includes('zstd')) await symlink(join(from, name), join(folder, name));
  return folder;
}

test.each(['zstd(1)', 'dbkit'] as const)(
  'while a server replays one segment %s unpacks the next ones, and what it laid out goes at the end',
  async (by) => {
    const { data, repository, ask, environment, serve, ahead } = await place();
    const kept = await keepMany(repository);
    if (by === 'dbkit') environment['PATH'] = await withoutZstd(data);
    await serve();
    for (const [name, bytes] of kept) {
      expect(ask('fetch', name, 'pg_wal/RECOVERYXLOG')).toBe(0);
      expect((await readFile(join(data, 'pg_wal/RECOVERYXLOG'))).equals(bytes), name).toBe(true);
      if (name === nameOf(3))
        await until(
          async () => (await ahead()).length === 8,
          () => 'nothing was unpacked ahead',
        );
    }
    expect(ask('fetch', nameOf(LAST + 1), 'pg_wal/RECOVERYXLOG')).toBe(1);
    expect(await laid(data)).toEqual([]);
  },
);

test('nothing is unpacked ahead where no server runs, and what another boot of the machine laid out is not believed', async () => {
  const { data, repository, ask, serve, ahead } = await place();
  const kept = await keepMany(repository);
  expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG')).toBe(0);
  expect(await ahead()).toEqual([]);
  const old = join(data, 'pg_wal/.dbkit-ahead-of-another-boot');
  await mkdir(old);
  await writeFile(join(old, `${nameOf(4)}-${sha16Of(kept.get(nameOf(4))!)}`), Buffer.alloc(SIZE));
  await serve();
  expect(ask('fetch', nameOf(4), 'pg_wal/RECOVERYXLOG')).toBe(0);
  expect((await readFile(join(data, 'pg_wal/RECOVERYXLOG'))).equals(kept.get(nameOf(4))!)).toBe(true);
  await until(
    async () => (await ahead()).length === 8,
    () => 'nothing was unpacked ahead',
  );
  expect((await readdir(join(data, 'pg_wal'))).filter((name) => name === '.dbkit-ahead-of-another-boot')).toEqual([]);
});

test('a damaged segment stops the recovery at its turn, and not before', async () => {
  const { data, repository, archive, ask, serve, ahead } = await place();
  const kept = await keepMany(repository);
  const damaged = `${nameOf(6)}-${sha16Of(kept.get(nameOf(6))!)}.zst`;
  const other = `${nameOf(7)}-${sha16Of(kept.get(nameOf(7))!)}.zst`;
  await copyFile(join(archive.dir, '00000001', other), join(archive.dir, '00000001', damaged));
  await serve();
  expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG')).toBe(0);
  await until(
    async () => (await ahead()).length === 2,
    () => 'nothing was unpacked ahead',
  );
  expect([4, 5, 6].map((number) => ask('fetch', nameOf(number), 'pg_wal/RECOVERYXLOG'))).toEqual([0, 0, 126]);
  expect((await readFile(join(data, 'pg_wal/RECOVERYXLOG'))).equals(kept.get(nameOf(5))!)).toBe(true);
});

test('a recovery that ends while segments are unpacked ahead leaves none of them', async () => {
  const { data, repository, ask, serve } = await place();
  await keepMany(repository);
  await serve();
  for (let round = 0; round < 10; round += 1) {
    expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG')).toBe(0);
    expect(ask('fetch', '00000002.history', 'pg_wal/RECOVERYHISTORY')).toBe(1);
    expect(await laid(data)).toEqual([]);
  }
});

test('what an earlier server laid out is not believed, and what stands in the way neither hangs nor ends a recovery', async () => {
  const { data, repository, ask, serve, ahead } = await place();
  const kept = await keepMany(repository);
  await serve();
  expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG')).toBe(0);
  await until(
    async () => (await ahead()).length === 8,
    () => 'nothing was unpacked ahead',
  );
  const [earlier] = await laid(data);
  for (const name of await ahead()) await writeFile(join(data, 'pg_wal', earlier!, name), Buffer.alloc(SIZE));
  await serve();
  expect(ask('fetch', nameOf(4), 'pg_wal/RECOVERYXLOG')).toBe(0);
  expect((await readFile(join(data, 'pg_wal/RECOVERYXLOG'))).equals(kept.get(nameOf(4))!)).toBe(true);
  await until(
    async () => !(await laid(data)).includes(earlier!) && (await ahead()).length === 8,
    () => 'the folder of the earlier server stayed',
  );
  const [own] = await laid(data);
  await rm(join(data, 'pg_wal', own!), { recursive: true });
  await writeFile(join(data, 'pg_wal', own!), 'in the way');
  expect(ask('fetch', nameOf(5), 'pg_wal/RECOVERYXLOG')).toBe(0);
  expect((await readFile(join(data, 'pg_wal/RECOVERYXLOG'))).equals(kept.get(nameOf(5))!)).toBe(true);
});

test('nothing is laid out beside a file that is fetched to another place', async () => {
  const { data, repository, ask, serve } = await place();
  await keepMany(repository);
  await serve();
  await mkdir(join(data, 'elsewhere'));
  expect(ask('fetch', nameOf(3), 'elsewhere/segment')).toBe(0);
  expect(await readdir(join(data, 'elsewhere'))).toEqual(['segment']);
});

test('a folder of the archive that is none, or cannot be read, is not the end of the archive', async () => {
  const { repository, archive, ask } = await place();
  await keepMany(repository);
  const folder = join(archive.dir, '00000001');
  await rename(folder, `${folder}.aside`);
  expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG'), 'no such timeline').toBe(1);
  await writeFile(folder, '');
  expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG'), 'a file').toBe(126);
  await rm(folder);
  await rename(`${folder}.aside`, folder);
  await chmod(folder, 0o000);
  expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG'), 'locked away').toBe(126);
  await chmod(folder, 0o600);
  expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG'), 'listed, and not to be entered').toBe(126);
  await chmod(folder, 0o700);
  expect(ask('fetch', nameOf(3), 'pg_wal/RECOVERYXLOG')).toBe(0);
});
