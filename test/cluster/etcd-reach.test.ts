import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readMemberSetting } from '../../src/cluster/restoring/member-store.ts';
import { forgetCluster } from '../../src/cluster/restoring/store-keys.ts';
import { redact } from '../../src/kernel/redact.ts';

const PASSWORD = 'nobody-may-read-this';
const never = new AbortController().signal;
let folder: string;
const at = (name: string): string => join(folder, name);
const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { stdio: 'ignore', cwd: folder });

/** An authority of one's own, and what it has signed: for the server, and for its client. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-etcd-'));
  writeFileSync(at('names'), 'subjectAltName=IP:127.0.0.1');
  const made = ['-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  for (const authority of ['ca', 'other'])
    openssl('req', '-x509', ...made, '-subj', `/CN=${authority}`, '-keyout', `${authority}.key`, '-out', `${authority}.pem`);
  for (const who of ['server', 'client']) {
    openssl('req', ...made.slice(0, 3), '-subj', `/CN=${who}`, '-keyout', `${who}.key`, '-out', `${who}.csr`);
    const signed = ['-in', `${who}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
    openssl('x509', '-req', ...signed, '-out', `${who}.pem`);
  }
  writeFileSync(at('client-with-key.pem'), `${readFileSync(at('client.pem'), 'utf8')}${readFileSync(at('client.key'), 'utf8')}`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Asked {
  readonly what: string;
  readonly body: string;
  readonly authorization: string | undefined;
}
const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});

/** An etcd over https that knows `root`; `isOpen`: its authentication is off. */
async function fakeEtcd({ wantsCertificate = false, isOpen = false } = {}): Promise<{ port: number; asked: Asked[] }> {
  const asked: Asked[] = [];
  const TOKEN = 'ABCDEFG.42';
  const basic = `Basic ${Buffer.from(`root:${PASSWORD}`).toString('base64')}`;
  const listener: RequestListener = (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { authorization } = request.headers;
      asked.push({ what: `${request.method} ${request.url}`, body, authorization });
      const say = (status: number, json: object): void => void response.writeHead(status).end(JSON.stringify(json));
      if (request.url === '/v3/auth/authenticate') {
        if (isOpen) return say(400, { error: 'etcdserver: authentication is not enabled', code: 9 });
        const isKnown = body === JSON.stringify({ name: 'root', password: PASSWORD });
        return isKnown
          ? say(200, { token: TOKEN })
          : say(400, { error: 'etcdserver: authentication failed, invalid user ID or password', code: 3 });
      }
      if (!isOpen && authorization !== TOKEN && authorization !== basic)
        return say(400, { error: 'etcdserver: user name is empty', code: 3 });
      return say(200, request.url!.startsWith('/v2') ? { node: { value: '77' } } : { kvs: [{ value: 'Nzc=' }] });
    });
  };
  const own = { key: readFileSync(at('server.key')), cert: readFileSync(at('server.pem')) };
  const client = wantsCertificate ? { ca: readFileSync(at('ca.pem')), requestCert: true, rejectUnauthorized: true } : {};
  const server = createServer({ ...own, ...client }, listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, asked };
}

async function settingOf(document: object, environment: Record<string, string> = {}) {
  const path = at('patroni.yml');
  writeFileSync(path, JSON.stringify({ name: 'n1', scope: 'shop', ...document }));
  return readMemberSetting(path, 'shop', environment, never);
}
const base64 = (text: string): string => Buffer.from(text).toString('base64');

test.each<[string, (port: number) => object, (port: number) => Record<string, string>, { wantsCertificate?: boolean; isOpen?: boolean }]>([
  [
    'an authority of its own, a name and a password',
    (port) => ({ hosts: [`127.0.0.1:${port}`], protocol: 'https', cacert: at('ca.pem'), username: 'root', password: PASSWORD }),
    () => ({}),
    {},
  ],
  [
    'a certificate of the client, too',
    (port) => ({
      hosts: `127.0.0.1:1,127.0.0.1:${port}`,
      protocol: 'https',
      cacert: at('ca.pem'),
      cert: at('client.pem'),
      key: at('client.key'),
    }),
    () => ({ PATRONI_ETCD3_USERNAME: 'root', PATRONI_ETCD3_PASSWORD: PASSWORD }),
    { wantsCertificate: true },
  ],
  [
    'a certificate with its key in one file',
    (port) => ({ host: '127.0.0.1', port, protocol: 'https', cacert: at('ca.pem'), cert: at('client-with-key.pem') }),
    () => ({ PATRONI_ETCD3_USERNAME: 'root', PATRONI_ETCD3_PASSWORD: PASSWORD }),
    { wantsCertificate: true },
  ],
  [
    'all of it in Patroni’s variables',
    () => ({}),
    (port) => ({
      PATRONI_ETCD3_HOSTS: `'127.0.0.1:${port}'`,
      PATRONI_ETCD3_PROTOCOL: 'https',
      PATRONI_ETCD3_CACERT: at('ca.pem'),
      PATRONI_ETCD3_USERNAME: 'root',
      PATRONI_ETCD3_PASSWORD: PASSWORD,
    }),
    {},
  ],
  ['name and password in the URL', (port) => ({ url: `https://root:${PASSWORD}@127.0.0.1:${port}`, cacert: at('ca.pem') }), () => ({}), {}],
  [
    'a name for an etcd whose authentication is off',
    (port) => ({ host: `127.0.0.1:${port}`, protocol: 'https', cacert: at('ca.pem'), username: 'root', password: PASSWORD }),
    () => ({}),
    { isOpen: true },
  ],
])('etcd over https is asked, and forgets one cluster only: %s', async (_what, section, environment, kind) => {
  const { port, asked } = await fakeEtcd(kind);
  const { store } = await settingOf({ etcd3: section(port), namespace: '/of-mine/' }, environment(port));
  expect(store).toMatchObject({ url: `https://127.0.0.1:${port}`, api: 3, scope: 'shop' });
  await forgetCluster(store, never);
  const said = asked.filter(({ what }) => !what.endsWith('/authenticate'));
  expect(said.map(({ what, body }) => `${what} ${body}`)).toEqual([
    `POST /v3/kv/range {"key":"${base64('/of-mine/shop/initialize')}"}`,
    `POST /v3/kv/deleterange {"key":"${base64('/of-mine/shop/')}","range_end":"${base64('/of-mine/shop0')}"}`,
  ]);
  expect(new Set(said.map(({ authorization }) => authorization))).toEqual(new Set([kind.isOpen ? undefined : 'ABCDEFG.42']));
  expect(JSON.stringify(store) + inspect(store, { depth: 9 })).not.toContain(PASSWORD);
});

test('version 2 takes name and password with each request', async () => {
  const { port, asked } = await fakeEtcd();
  const etcd = { hosts: [`127.0.0.1:${port}`], protocol: 'https', cacert: at('ca.pem'), username: 'root', password: PASSWORD };
  const { store } = await settingOf({ etcd }, { PATRONI_NAMESPACE: 'of-mine' });
  await forgetCluster(store, never);
  expect(asked.map(({ what }) => what)).toEqual(['GET /v2/keys/of-mine/shop/initialize', 'DELETE /v2/keys/of-mine/shop?recursive=true']);
});

test.each<[string, object, RegExp, RegExp]>([
  ['a certificate that nobody vouches for', {}, /does not answer: .*certificate/, /cacert/],
  ['one of another authority', { cacert: 'other.pem' }, /does not answer: .*certificate/, /cacert/],
  [
    'a password that is wrong',
    { cacert: 'ca.pem', username: 'root', password: 'not-the-right-one' },
    /does not let root in \(400\)/,
    /password/,
  ],
  ['no name where one is wanted', { cacert: 'ca.pem' }, /\(400\): etcdserver: user name is empty/, /username/],
])('%s is told, and nothing is sent in the clear', async (_what, section, message, hint) => {
  const { port, asked } = await fakeEtcd();
  const named = Object.fromEntries(Object.entries(section).map(([name, value]) => [name, name === 'cacert' ? at(value as string) : value]));
  const failure = await settingOf({ etcd3: { hosts: [`127.0.0.1:${port}`], protocol: 'https', ...named } }).catch(
    (cause: unknown) => cause,
  );
  expect(failure).toMatchObject({ code: 'service.failed', message: expect.stringMatching(message), hint: expect.stringMatching(hint) });
  expect(inspect(failure, { depth: 9 })).not.toContain('not-the-right-one');
  if (/nobody|another/.test(_what)) expect(asked).toEqual([]);
});

test('a certificate that cannot be read is a mistake of the configuration', async () => {
  const etcd3 = { hosts: ['127.0.0.1:1'], protocol: 'https', cacert: at('absent.pem') };
  await expect(settingOf({ etcd3 })).rejects.toMatchObject({ code: 'config.invalid', message: expect.stringContaining('absent.pem') });
  await expect(settingOf({})).rejects.toMatchObject({ code: 'config.invalid', message: expect.stringContaining('names no etcd') });
});

test.each([
  ['cut in the middle', 'scope: shop\netcd3:\n  password: "hunter2\n  hosts: [', /patroni.yml is not a file of Patroni/],
  [
    'aliases of aliases',
    `a: &a [1,1,1,1,1,1,1,1,1,1]\n${'bcdefgh'
      .split('')
      .map((name, at) => `${name}: &${name} [${`*${'abcdefgh'[at]},`.repeat(10)}]`)
      .join('\n')}\n`,
    /patroni.yml is not a file of Patroni/,
  ],
  ['a URL that is none', 'scope: shop\netcd3: {url: "http//root:hunter2@e1"}\n', /the url of etcd in .* is none/],
])('a file that is broken is a mistake of the configuration, and none of it is shown: %s', async (_what, text, words) => {
  const path = at('patroni.yml');
  writeFileSync(path, text);
  const failure = await readMemberSetting(path, 'shop', {}, never).catch((cause: unknown) => cause);
  expect(failure).toMatchObject({ code: 'config.invalid', message: expect.stringMatching(words) });
  expect(inspect(failure, { depth: 9 })).not.toContain('hunter2');
});

test('a port that is not named is etcd’s own, and what is logged of the password is hidden', async () => {
  const etcd3 = { host: '127.0.0.254', username: 'root', password: PASSWORD };
  await expect(settingOf({ etcd3 })).rejects.toMatchObject({ message: expect.stringContaining('http://127.0.0.254:2379 does not answer') });
  expect(redact(`etcd of ${PASSWORD}`)).not.toContain(PASSWORD);
});
