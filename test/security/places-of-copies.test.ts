import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { DbkitError } from '../../src/kernel/errors.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { clock } from '../../src/machine/clock.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';
import { openS3Store } from '../../src/store/s3.ts';
import { createListing, type Store } from '../../src/store/store.ts';

/** An endpoint that is broken, or somebody else's; and a folder in which somebody else may write. */
const signal = new AbortController().signal;

async function endpoint(
  answer: (url: URL, response: ServerResponse, count: number) => void,
): Promise<{ store: Store; asked: () => number }> {
  let asked = 0;
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    asked += 1;
    request.resume().on('end', () => answer(new URL(request.url!, 'http://there'), response, asked));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const store = openS3Store({
    bucket: 'lab',
    prefix: 'here/',
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pathStyle: true,
    credentials: { accessKeyId: 'KEY', secretAccessKey: new Secret('secret') },
    attemptsMax: 1,
    silenceMs: 2_000,
    listMaxBytes: 1024 * 1024,
  });
  return { store, asked: () => asked };
}

const page = (token: string, ...keys: readonly string[]): string =>
  `<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>${keys
    .map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`)
    .join('')}</ListBucketResult>`;

function withoutEnd(response: ServerResponse, status: number, chunk: Buffer): void {
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.writeHead(status, { 'content-type': 'application/xml' }).on('drain', more);
  more();
}

test.each([
  ['empty pages', (count: number) => page(`token-${count}`)],
  ['pages of objects', (count: number) => page(`token-${count}`, ...Array.from({ length: 1000 }, (_, at) => `here/packs/${count}-${at}`))],
])('a list without end is refused: %s', async (_name, text) => {
  const { store, asked } = await endpoint((_url, response, count) => response.end(text(count)));
  await expect(store.list('packs/', signal)).rejects.toMatchObject({
    code: 'store.denied',
    message: expect.stringContaining('lists more'),
  });
  expect(asked()).toBeLessThan(500);
});

test('a list that goes round in a circle is refused', async () => {
  const { store, asked } = await endpoint((_url, response, count) => response.end(page(['one', 'two'][count % 2]!, 'here/packs/a')));
  await expect(store.list('packs/', signal)).rejects.toMatchObject({ code: 'store.denied', message: expect.stringContaining('again') });
  expect(asked()).toBe(3);
});

test.each([
  ['a list', 200, (store: Store) => store.list('packs/', signal)],
  ['a refusal', 403, (store: Store) => store.get('packs/a', signal)],
  ['an error', 500, (store: Store) => store.stat('packs/a', signal).then(() => store.list('', signal))],
  ['the answer to what is sent', 200, (store: Store) => store.put('packs/a', Buffer.from('x'), signal)],
])('an answer without end is read up to 8 MiB: %s', async (_name, status, ask) => {
  let sent = 0;
  const { store } = await endpoint((_url, response) => {
    if (response.req.method === 'HEAD') return void response.end();
    response.on('pipe', () => undefined);
    const { write } = response;
    response.write = ((chunk: Buffer) => {
      sent += chunk.length;
      return write.call(response, chunk, 'latin1', () => undefined);
    }) as typeof write;
    withoutEnd(response, status, Buffer.alloc(1024 * 1024, '<a>'));
  });
  await expect(ask(store)).rejects.toMatchObject({ code: 'store.denied', message: expect.stringContaining('more than 8 MiB') });
  expect(sent).toBeLessThan(64 * 1024 * 1024);
});

test('an answer that a parser would take hours for, or end at, is a failure of the store', async () => {
  const { store } = await endpoint((url, response) => {
    response.end(url.searchParams.get('prefix') === 'here/types' ? `${'<!DocType a>'.repeat(600_000)}<a></a>` : '<a>'.repeat(2_000_000));
  });
  await expect(store.list('types', signal)).rejects.toMatchObject({
    code: 'store.denied',
    message: expect.stringContaining('document type'),
  });
  await expect(store.list('depth', signal)).rejects.toMatchObject({ code: 'store.unavailable' });
});

test('what a list names elsewhere, or what can be no object, is not among its objects', async () => {
  const names = ['here/packs/a', 'packs/b', 'here/other', 'here/packs/../../c', 'here/packs/', `here/packs/${'d'.repeat(2000)}`];
  const { store } = await endpoint((_url, response) => response.end(page('', ...names).replace('true', 'false')));
  expect(await store.list('packs/', signal)).toEqual([{ key: 'packs/a', sizeBytes: 1 }]);
});

test('a list of 1.5 million packs fits, and not one that goes on', () => {
  const listing = createListing('there');
  const key = `packs/${'a'.repeat(64)}.age`;
  const name = Buffer.alloc(100 * 1024 * 1024, 'a').toString();
  for (let at = 0; at < 1000; at += 1) listing.add(key, 1);
  listing.add(name, 1);
  listing.add(name, 1);
  expect(listing.sorted()).toHaveLength(1000);
  expect(() => listing.add(name, 1)).toThrow(DbkitError);
});

/** Puts a link to elsewhere in the place of a folder and takes it away again, as fast as it can. */
const SWAPPER = `
  const { parentPort, workerData: { folder, aside, link, flag } } = require('node:worker_threads');
  const { renameSync } = require('node:fs');
  const isOver = new Int32Array(flag);
  let made = 0;
  const put = (from, to) => {
    try {
      renameSync(from, to);
    } catch {
      renameSync(to, aside + '-' + (made += 1)); // The copy has made the folder that was missing for a moment.
      put(from, to);
    }
  };
  parentPort.postMessage('begun');
  while (Atomics.load(isOver, 0) === 0) {
    renameSync(folder, aside);
    put(link, folder);
    renameSync(folder, link);
    put(aside, folder);
  }`;

test('a folder and a link that change places all the time lead nobody out of the copy', async () => {
  const root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const [path, victim] = [join(root, 'copy'), join(root, 'victim')];
  const [folder, link] = [join(path, 'v1/7/wal'), join(root, 'link')];
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(victim, 'below'), { recursive: true });
  for (const name of ['kept', 'removed', 'below/only-there']) writeFileSync(join(victim, name), 'somebody’s');
  symlinkSync(victim, link);
  const flag = new SharedArrayBuffer(4);
  const swapper = new Worker(SWAPPER, { eval: true, workerData: { folder, aside: join(root, 'aside'), link, flag } });
  await new Promise((resolve) => swapper.once('message', resolve));
  const outcomes = { done: 0, refused: 0 };
  const seen: unknown[] = [];
  try {
    const tries = async (ask: (store: Store) => Promise<unknown>): Promise<void> => {
      await ask(openDirectoryStore({ path, clock })).then(
        (value) => {
          outcomes.done += 1;
          seen.push(value);
        },
        (cause: unknown) => {
          expect(cause).toBeInstanceOf(DbkitError);
          outcomes.refused += 1;
        },
      );
    };
    for (let round = 0; round < 300 || Math.min(outcomes.done, outcomes.refused) <= 100; round += 1) {
      await tries((store) => store.put(`v1/7/wal/new-${round}`, Buffer.from('ours'), signal));
      await tries((store) => store.get('v1/7/wal/kept', signal));
      await tries((store) => store.list('v1/', signal));
      await tries((store) => store.stat('v1/7/wal/kept', signal));
      await tries((store) => store.remove('v1/7/wal/removed', signal));
    }
  } finally {
    Atomics.store(new Int32Array(flag), 0, 1);
    await new Promise((resolve) => swapper.once('exit', resolve));
  }
  expect(outcomes.done).toBeGreaterThan(100);
  expect(outcomes.refused).toBeGreaterThan(100);
  expect(readdirSync(victim, { recursive: true }).sort()).toEqual(['below', 'below/only-there', 'kept', 'removed']);
  expect(readFileSync(join(victim, 'kept'), 'utf8')).toBe('somebody’s');
  expect(JSON.stringify(seen)).not.toMatch(/only-there|kept/);
  expect(seen.filter((value) => Buffer.isBuffer(value))).toEqual([]);
});
