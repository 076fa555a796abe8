import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { decideUnfinished, type UnfinishedFacts, type unfinishedRows } from '../../src/cluster/member/unfinished-rows.ts';
import { removeUnchanged, type StoreKeys, storeEntry } from '../../src/cluster/restoring/store-keys.ts';
import { everyRow } from '../harness/every-row.ts';

const half: UnfinishedFacts = {
  ...{ isBegunHere: true, isEmpty: false, wasMaking: false, madeBeforeBegun: false, mark: 'taken', othersHaveNothing: false },
};

everyRow<(typeof unfinishedRows)[number]['id'], UnfinishedFacts>('a cluster that was half made', decideUnfinished, {
  'bootstrap-not-begun': { ...half, isBegunHere: false },
  'bootstrap-older-data': { ...half, madeBeforeBegun: true },
  'bootstrap-overtaken': { ...half, mark: 'made-other' },
  'bootstrap-over': { ...half, mark: 'made' },
  'bootstrap-elsewhere': { ...half, isEmpty: true },
  'bootstrap-unfinished': half,
});

test('data is set aside only where it was begun here and the store says that nobody has finished it, or that another has', () => {
  const decisions = (['none', 'taken', 'made', 'made-other', 'not-etcd'] as const).map((mark) => decideUnfinished({ ...half, mark }).then);
  expect(decisions).toEqual(['go-on', 'begin-again', 'go-on', 'set-aside', 'go-on']);
  expect(decideUnfinished({ ...half, madeBeforeBegun: null }).then, 'without a control file, too').toBe('begin-again');
});

test('an empty directory and a mark in the store: another member may have set it, unless initdb ran here or no other member has data', () => {
  const empty = { ...half, isEmpty: true, madeBeforeBegun: null };
  expect(decideUnfinished(empty).then).toBe('go-on');
  expect(decideUnfinished({ ...empty, wasMaking: true }).then).toBe('begin-again');
  expect(decideUnfinished({ ...empty, othersHaveNothing: true }).then).toBe('begin-again');
});

const never = new AbortController().signal;
let close: (() => void) | undefined;
afterEach(() => close?.());

/** An etcd that answers each request with the next of these. */
async function etcd(api: 2 | 3, ...answers: readonly { readonly status: number; readonly body: object }[]) {
  const asked: string[] = [];
  const left = [...answers];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      asked.push(`${request.method} ${request.url} ${body}`.trim());
      const { status, body: said } = left.shift()!;
      response.writeHead(status).end(JSON.stringify(said));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => void server.close();
  const store: StoreKeys = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, api, scope: 'shop' };
  return { store, asked };
}

test('the mark is removed from etcd of version 2 as it was read', async () => {
  const { store, asked } = await etcd(
    2,
    { status: 200, body: { node: { value: '', modifiedIndex: 7 } } },
    { status: 200, body: {} },
    { status: 412, body: { errorCode: 101 } },
  );
  expect(await storeEntry(store, 'initialize', never)).toEqual({ value: '', revision: '7' });
  expect(await removeUnchanged(store, 'initialize', '7', never)).toBe(true);
  expect(await removeUnchanged(store, 'initialize', '7', never), 'somebody has written it since').toBe(false);
  expect(asked[1]).toBe('DELETE /v2/keys/service/shop/initialize?prevIndex=7');
});

test('the mark is removed from etcd of version 3 as it was read', async () => {
  const key = Buffer.from('/service/shop/initialize').toString('base64');
  const { store, asked } = await etcd(
    3,
    { status: 200, body: { kvs: [{ key, mod_revision: '9' }] } },
    { status: 200, body: { succeeded: true } },
    { status: 200, body: {} },
  );
  expect(await storeEntry(store, 'initialize', never), 'an empty value is left out').toEqual({ value: '', revision: '9' });
  expect(await removeUnchanged(store, 'initialize', '9', never)).toBe(true);
  expect(await removeUnchanged(store, 'initialize', '9', never)).toBe(false);
  expect(JSON.parse(asked[1]!.replace('POST /v3/kv/txn ', ''))).toEqual({
    compare: [{ key, target: 'MOD', result: 'EQUAL', mod_revision: '9' }],
    success: [{ request_delete_range: { key } }],
  });
});

test('an etcd that does not say is no etcd without the mark', async () => {
  const { store } = await etcd(2, { status: 500, body: {} });
  await expect(removeUnchanged(store, 'initialize', '7', never)).rejects.toMatchObject({ code: 'service.failed' });
});
