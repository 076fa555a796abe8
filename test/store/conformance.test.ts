import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/kernel/secret.ts';
import { clock } from '../../src/machine/clock.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';
import { openS3Store } from '../../src/store/s3.ts';
import { s3Rows } from '../../src/store/s3-failures.ts';
import type { Store } from '../../src/store/store.ts';
import { fakeS3 } from '../harness/s3.ts';

const { signal } = new AbortController();
const body = (text: string): Buffer => Buffer.from(text);

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'dbkit-store-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A real one, where the environment names it: the keys of `src/store/s3.ts`'s settings. */
const { S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY } = process.env;
const real = (): Store =>
  openS3Store({
    bucket: S3_BUCKET!,
    prefix: `conformance-${process.pid}-${Math.random().toString(36).slice(2)}/`,
    region: 'us-east-1',
    endpoint: S3_ENDPOINT!,
    pathStyle: true,
    credentials: { accessKeyId: S3_ACCESS_KEY!, secretAccessKey: new Secret(S3_SECRET_KEY!) },
  });

const stores: readonly (readonly [string, () => Promise<Store>])[] = [
  ['a directory', async () => openDirectoryStore({ path: await folder(), clock })],
  ['S3', async () => openS3Store(await fakeS3())],
  [
    'S3 that knows no conditions',
    async () => {
      const fake = await fakeS3();
      fake.knowsConditions = false;
      return openS3Store(fake);
    },
  ],
  ...(S3_ENDPOINT === undefined ? [] : [['a real S3', async () => real()] as const]),
];

describe.each(stores)('every store keeps this law: %s', (_name, open) => {
  test('an object comes back as it was put, and is put once', async () => {
    const store = await open();
    const bytes = Buffer.from([0, 255, 10, 13, 0]);
    expect(await store.put('v1/packs/one.age', bytes, signal)).toBe('stored');
    expect(await store.put('v1/packs/one.age', bytes, signal)).toBe('there');
    expect((await store.get('v1/packs/one.age', signal))!.equals(bytes)).toBe(true);
    expect(await store.stat('v1/packs/one.age', signal)).toEqual({ key: 'v1/packs/one.age', sizeBytes: 5 });
  });

  test('other bytes never take the place of what is there', async () => {
    const store = await open();
    await store.put('one', body('first'), signal);
    await expect(store.put('one', body('other'), signal)).rejects.toMatchObject({ code: 'file.exists' });
    expect((await store.get('one', signal))!.toString()).toBe('first');
  });

  test('what is not there is undefined, and can be removed', async () => {
    const store = await open();
    expect(await store.get('a/none', signal)).toBeUndefined();
    expect(await store.stat('a/none', signal)).toBeUndefined();
    await store.remove('a/none', signal);
    expect(await store.list('a/', signal)).toEqual([]);
  });

  test('a list has everything below its prefix, sorted, over many pages', async () => {
    const store = await open();
    const keys = ['b/1', 'b/2', 'b/c/3', 'b/c/4', 'b/d', 'b0', 'other/x'];
    for (const key of keys) await store.put(key, body(key), signal);
    expect((await store.list('b/', signal)).map(({ key }) => key)).toEqual(['b/1', 'b/2', 'b/c/3', 'b/c/4', 'b/d']);
    expect(await store.list('b/c/', signal)).toEqual([
      { key: 'b/c/3', sizeBytes: 5 },
      { key: 'b/c/4', sizeBytes: 5 },
    ]);
    await store.remove('b/c/3', signal);
    expect((await store.list('b', signal)).map(({ key }) => key)).toEqual(['b/1', 'b/2', 'b/c/4', 'b/d', 'b0']);
  });

  test('an empty object is one, and keys that lead elsewhere are none', async () => {
    const store = await open();
    await store.put('empty', Buffer.alloc(0), signal);
    expect((await store.get('empty', signal))!.length).toBe(0);
    for (const key of ['../out', '/etc/passwd', 'a//b', '.hidden', 'a/./b', ''])
      await expect(store.put(key, body('x'), signal)).rejects.toBeInstanceOf(RangeError);
  });

  test('whoever no longer wants it is heard', async () => {
    const store = await open();
    const stop = new AbortController();
    stop.abort();
    await expect(store.put('late', body('x'), stop.signal)).rejects.toThrow();
    expect(await store.get('late', signal)).toBeUndefined();
  });
});

test('a mount that is not mounted is not made on the disk below it', async () => {
  const path = join(await folder(), 'mount');
  const store = openDirectoryStore({ path, clock });
  await expect(store.put('one', body('x'), signal)).rejects.toMatchObject({ code: 'store.unavailable' });
  await expect(store.list('', signal)).rejects.toMatchObject({ code: 'store.unavailable' });
});

test('what a killed writer left is no object, and goes after a day', async () => {
  const path = await folder();
  await openDirectoryStore({ path, clock }).put('one', body('x'), signal);
  await writeFile(join(path, '.incoming', 'old'), 'half');
  await writeFile(join(path, '.incoming', 'new'), 'half');
  await utimes(join(path, '.incoming', 'old'), 1, 1);
  const store = openDirectoryStore({ path, clock });
  expect((await store.list('', signal)).map(({ key }) => key)).toEqual(['one']);
  await store.put('two', body('y'), signal);
  expect(await readdir(join(path, '.incoming'))).toEqual(['new']);
});

test('a link in a directory is not followed', async () => {
  const path = await folder();
  await symlink('/etc/passwd', join(path, 'one'));
  await expect(openDirectoryStore({ path, clock }).get('one', signal)).rejects.toMatchObject({ code: 'store.unavailable' });
});

describe('folders of a directory that whoever may write there made a link', () => {
  const old = async (...parts: readonly string[]): Promise<string> => {
    const file = join(...parts);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, 'somebody’s data');
    await utimes(file, 1, 1);
    return file;
  };

  test('of what is half written: what has lain behind it for long stays', async () => {
    const [path, data] = [await folder(), await folder()];
    const file = await old(data, 'pg_control');
    await symlink(data, join(path, '.incoming'));
    await expect(openDirectoryStore({ path, clock }).put('one', body('x'), signal)).rejects.toMatchObject({ code: 'data.corrupt' });
    expect(await readFile(file, 'utf8')).toBe('somebody’s data');
    expect(await readdir(data)).toEqual(['pg_control']);
  });

  test('on the way to a key: nothing behind it is read, listed, written or removed', async () => {
    const [path, archive] = [await folder(), await folder()];
    const key = 'v1/7/wal/00000001/000000010000000000000001-0123456789abcdef.zst';
    const file = await old(archive, '00000001/000000010000000000000001-0123456789abcdef.zst');
    await mkdir(join(path, 'v1/7'), { recursive: true });
    await symlink(archive, join(path, 'v1/7/wal'));
    const store = openDirectoryStore({ path, clock });
    for (const asked of [
      () => store.get(key, signal),
      () => store.stat(key, signal),
      () => store.list('v1/7/wal/', signal),
      () => store.remove(key, signal),
      () => store.put('v1/7/wal/other', body('x'), signal),
    ])
      await expect(asked()).rejects.toMatchObject({ code: 'data.corrupt', message: expect.stringContaining('but a link') });
    expect(await readFile(file, 'utf8')).toBe('somebody’s data');
    expect(await readdir(archive)).toEqual(['00000001']);
    expect(await store.list('v1/', signal)).toEqual([]);
  });
});

test('an object that is larger than any that was put is not read into memory', async () => {
  const path = await folder();
  await writeFile(join(path, 'one'), '');
  await truncate(join(path, 'one'), 3 * 1024 ** 3);
  await expect(openDirectoryStore({ path, clock }).get('one', signal)).rejects.toMatchObject({ code: 'data.corrupt' });
  const fake = await fakeS3();
  fake.objects.set('here/one', Buffer.alloc(0));
  fake.fault = () => 'endless';
  await expect(openS3Store(fake).get('one', signal)).rejects.toMatchObject({ code: 'data.corrupt' });
  expect(fake.requests).toEqual(['GET here/one']);
});

test('S3: an answer that breaks off is asked for again, a store that fails is unavailable', async () => {
  const fake = await fakeS3();
  const store = openS3Store(fake);
  await store.put('one', Buffer.alloc(100_000, 7), signal);
  let breaks = 1;
  fake.fault = (method) => (method === 'GET' && breaks-- > 0 ? 'truncate' : undefined);
  expect((await store.get('one', signal))!.equals(Buffer.alloc(100_000, 7))).toBe(true);
  fake.fault = () => 'truncate';
  await expect(store.get('one', signal)).rejects.toMatchObject({ code: 'store.unavailable' });
  fake.fault = () => 'error';
  await expect(store.put('two', body('x'), signal)).rejects.toMatchObject({ code: 'store.unavailable' });
});

test('S3: an error in between costs one more attempt', async () => {
  const fake = await fakeS3();
  let errors = 1;
  fake.fault = () => (errors-- > 0 ? 'error' : undefined);
  expect(await openS3Store(fake).put('one', body('x'), signal)).toBe('stored');
  expect(fake.requests).toEqual(['PUT here/one', 'PUT here/one']);
});

test('S3: a store that takes the connection and says nothing is unavailable', async () => {
  const fake = await fakeS3();
  fake.fault = () => 'hang';
  await expect(openS3Store({ ...fake, attemptsMax: 1 }).put('one', body('x'), signal)).rejects.toMatchObject({ code: 'store.unavailable' });
});

test('S3: nobody listens', async () => {
  const store = openS3Store({ ...(await fakeS3()), endpoint: 'http://127.0.0.1:1' });
  await expect(store.get('one', signal)).rejects.toMatchObject({ code: 'store.unavailable' });
});

test('S3: full, refused and signed wrongly are three different things to do', async () => {
  const fake = await fakeS3();
  fake.fault = () => 'quota';
  await expect(openS3Store(fake).put('one', body('x'), signal)).rejects.toMatchObject({ code: 'volume.full' });
  fake.fault = () => undefined;
  const credentials = { ...fake.credentials, secretAccessKey: new Secret('another secret') };
  await expect(openS3Store({ ...fake, credentials }).put('one', body('x'), signal)).rejects.toMatchObject({ code: 'store.denied' });
  await expect(openS3Store({ ...fake, bucket: 'none' }).get('one', signal)).rejects.toMatchObject({ code: 'store.denied' });
  expect(fake.objects.size).toBe(0);
});

test.each([
  ['full', 507, ''],
  ['full', 403, 'QuotaExceeded'],
  ['no-bucket', 404, 'NoSuchBucket'],
  ['clock', 403, 'RequestTimeTooSkewed'],
  ['credentials', 403, 'InvalidAccessKeyId'],
  ['elsewhere', 301, 'PermanentRedirect'],
  ['no-answer', undefined, 'TimeoutError'],
])('%s: %s %s', (id, status, name) => {
  expect(s3Rows.find(({ when }) => when({ status, name }))!.id).toBe(id);
});
