import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readMemberSetting } from '../../src/cluster/restoring/member-store.ts';
import { forgetCluster, storeValue } from '../../src/cluster/restoring/store-keys.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/processes.ts';

const programs = ['/usr/bin/etcd', '/usr/bin/etcdctl', '/usr/bin/openssl'];
const PASSWORD = 'lab-etcd-password';
const never = new AbortController().signal;

/** A real etcd, closed to everybody without a certificate of its authority and a password. */
describe.skipIf(programs.some((path) => !existsSync(path)))('an etcd that lets nobody in who is not known', () => {
  let folder: string;
  let etcd: ChildProcess;
  let url: string;
  const at = (name: string): string => join(folder, name);
  const etcdctl = (...words: readonly string[]) => {
    const own = ['--endpoints', url, '--cacert', at('ca.pem'), '--cert', at('own.pem'), '--key', at('own.key')];
    const env = { PATH: process.env['PATH'], ETCDCTL_API: '3' };
    return spawnSync('etcdctl', [...own, ...words], { encoding: 'utf8', env });
  };
  const asRoot = ['--user', `root:${PASSWORD}`];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dbkit-etcd-'));
    const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { stdio: 'ignore', cwd: folder });
    const made = ['-newkey', 'rsa:2048', '-nodes'];
    openssl('req', '-x509', ...made, '-days', '2', '-subj', '/CN=lab', '-keyout', 'ca.key', '-out', 'ca.pem');
    openssl('req', ...made, '-subj', '/O=lab', '-keyout', 'own.key', '-out', 'own.csr'); // No CN: that would be taken for a user's name.
    writeFileSync(at('names'), 'subjectAltName=IP:127.0.0.1');
    const signed = ['-in', 'own.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
    openssl('x509', '-req', ...signed, '-out', 'own.pem');
    url = `https://127.0.0.1:${await freePort()}`;
    const peer = `http://127.0.0.1:${await freePort()}`;
    const tls = ['--cert-file', at('own.pem'), '--key-file', at('own.key'), '--client-cert-auth', '--trusted-ca-file', at('ca.pem')];
    const names = ['--name', 'lab', '--data-dir', at('data'), '--initial-cluster', `lab=${peer}`];
    const urls = ['--listen-client-urls', url, '--advertise-client-urls', url, '--listen-peer-urls', peer];
    const args = [...names, ...urls, '--initial-advertise-peer-urls', peer, ...tls];
    etcd = spawn('/usr/bin/etcd', args, { stdio: 'ignore', cwd: folder });
    await until(
      () => etcdctl('endpoint', 'health').status === 0,
      () => etcdctl('endpoint', 'health').stderr,
    );
    for (const key of ['/of-mine/shop/initialize', '/of-mine/shop/leader', '/of-mine/shop2/initialize', '/service/shop/initialize'])
      expect(etcdctl('put', key, '77').status).toBe(0);
    const steps = [
      ['user', 'add', `root:${PASSWORD}`],
      ['user', 'grant-role', 'root', 'root'],
      ['auth', 'enable'],
    ];
    for (const words of steps) expect(etcdctl(...words), words.join(' ')).toMatchObject({ status: 0 });
  });
  afterAll(async () => {
    const gone = once(etcd, 'exit');
    etcd.kill('SIGTERM');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });

  const settingOf = (over: object) => {
    const tls = { protocol: 'https', cacert: at('ca.pem'), cert: at('own.pem'), key: at('own.key') };
    const etcd3 = { hosts: [url.replace('https://', '')], ...tls, username: 'root', password: PASSWORD, ...over };
    writeFileSync(at('patroni.yml'), JSON.stringify({ name: 'n1', scope: 'shop', namespace: '/of-mine/', etcd3 }));
    return readMemberSetting(at('patroni.yml'), 'shop', {}, never);
  };

  test('forgets one cluster, and keeps its neighbours', async () => {
    const { store } = await settingOf({});
    expect(await storeValue(store, 'initialize', never)).toBe('77');
    await forgetCluster(store, never);
    expect(await storeValue(store, 'initialize', never)).toBeUndefined();
    const left = etcdctl(...asRoot, 'get', '--prefix', '/', '--keys-only')
      .stdout.split('\n')
      .filter(Boolean);
    expect(left).toEqual(['/of-mine/shop2/initialize', '/service/shop/initialize']);
  });

  test.each<[string, object]>([
    ['without a certificate', { cert: undefined, key: undefined }],
    ['with the wrong password', { password: 'not-the-right-one' }],
    ['without a name', { username: undefined }],
    ['without knowing its authority', { cacert: undefined }],
  ])('says nothing %s, which is no answer', async (_how, over) => {
    await expect(settingOf(over)).rejects.toMatchObject({ code: 'service.failed' });
  });
});
