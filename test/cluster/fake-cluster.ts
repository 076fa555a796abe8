import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ClusterNeeds } from '../../src/cluster/look.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { clock } from '../../src/machine/clock.ts';

export const versions = ['3.0.2', '4.0.7'] as const;
export type Version = (typeof versions)[number];
export const names = ['n1', 'n2', 'n3'] as const;

/** A document that Patroni of this version has answered with, on a cluster of three after its first switchover. */
export const recorded = (version: Version, name: string): unknown =>
  JSON.parse(readFileSync(new URL(`recorded/${version}/${name}.json`, import.meta.url), 'utf8'));

export interface FakeAnswer {
  readonly status: number;
  readonly body: string | object;
}

/** A request that something was to be changed with. */
export interface Asked {
  readonly member: string;
  readonly request: string;
  readonly body: string;
}

export interface FakeCluster {
  readonly needs: ClusterNeeds;
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

/** `answer`: undefined for what was recorded, null for silence. Its servers of PostgreSQL do not exist. */
export async function fakeCluster(
  version: Version,
  answer: (member: string, request: string) => FakeAnswer | null | undefined = () => undefined,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<FakeCluster> {
  const asked: Asked[] = [];
  const servers = await Promise.all(names.map((name) => serve(name, version, answer, asked)));
  const closedPort = 1; // tcpmux: nobody listens there.
  const members = Object.fromEntries(
    servers.map(({ port }, index) => [names[index], { api: `http://127.0.0.1:${port}`, server: `127.0.0.1:${closedPort}` }]),
  );
  const { config } = layerConfig({
    file: { path: '/dbkit.yaml', value: { ha: { members, ...settings } } },
    environment: [],
    flags: [],
  });
  return {
    asked,
    needs: { config, clock, log: { info: () => undefined, warn: () => undefined }, alerts: { reveal: async () => 'secret' } },
    close: async () => {
      await Promise.all(servers.map(({ close }) => close()));
    },
  };
}

async function serve(name: string, version: Version, answer: Parameters<typeof fakeCluster>[1] & object, asked: Asked[]) {
  const server: Server = createServer((request, response) => {
    const what = `${request.method} ${request.url}`;
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      if (request.method !== 'GET') asked.push({ member: name, request: what, body });
      const given = answer(name, what);
      if (given === null) return;
      const { status, body: said } = given ?? whatWasRecorded(version, name, what);
      response.writeHead(status).end(typeof said === 'string' ? said : JSON.stringify(said));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function whatWasRecorded(version: Version, name: string, what: string): FakeAnswer {
  const path = what.replace('GET /', '');
  if (path === 'liveness') return { status: 200, body: {} };
  if (path === 'patroni') {
    const document = recorded(version, `patroni-${name}`) as object;
    return { status: 200, body: { ...document, dcs_last_seen: Math.floor(clock.now().getTime() / 1000) } };
  }
  return ['cluster', 'config', 'history'].includes(path)
    ? { status: 200, body: withoutServers(recorded(version, path)) }
    : { status: 404, body: 'not found' };
}

/** The recorded ports may be somebody's here. */
const withoutServers = (document: unknown): object => {
  const { members, ...rest } = document as { members?: readonly object[] };
  return members === undefined ? (document as object) : { ...rest, members: members.map((one) => ({ ...one, port: 1 })) };
};
