import { expect, test } from 'vitest';
import { serverPlace } from '../../src/cluster/server-place.ts';

const member = { api: 'http://db1.example.org:8008', server: { host: 'db1.example.org', port: 5432 } };
const known: Readonly<Record<string, readonly string[]>> = { 'db1.example.org': ['10.0.0.1'], n1: ['10.0.0.1'], '10.0.0.1': ['10.0.0.1'] };
const addresses = async (host: string): Promise<readonly string[]> => known[host] ?? [];
const asked = (host: string | null, port: number | null, at: typeof member = member) =>
  serverPlace(at, { host, port }, undefined, addresses);

test('Patroni says the port, and a host that the configuration names', async () => {
  expect(await asked('DB1.example.org', 5433)).toEqual({ host: 'DB1.example.org', port: 5433 });
  const apart = { ...member, server: { host: '10.1.0.1', port: 5432 } };
  expect(await asked('10.1.0.1', 5433, apart)).toEqual({ host: '10.1.0.1', port: 5433 });
});

test('another name of the same host is asked by the name in the configuration, which nobody else can change', async () => {
  expect(await asked('10.0.0.1', 5433)).toEqual({ host: 'db1.example.org', port: 5433 });
  expect(await asked('n1', 5433)).toEqual({ host: 'db1.example.org', port: 5433 });
});

test.each(['evil.example.net', '10.6.6.6', '/tmp', ''])(
  'the password is not carried to %j, as whoever answers in place of Patroni may want',
  async (host) => {
    expect(await asked(host, 5432)).toEqual(member.server);
  },
);

test('a host that must prove its name by TLS may be any', async () => {
  const named = { host: 'db1.internal', port: 5432 };
  expect(await serverPlace(member, named, 'verify-full', addresses)).toEqual(named);
});

test('where Patroni does not say it, the configuration does', async () => {
  expect(await asked(null, 5433)).toEqual(member.server);
  expect(await serverPlace(member, undefined, undefined, addresses)).toEqual(member.server);
});
