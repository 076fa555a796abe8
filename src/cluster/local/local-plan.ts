import { dirname, join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { shellWord } from '../../kernel/shell-word.ts';
import { isSince } from '../lint/dynamic-rows.ts';
import type { Place } from '../members.ts';
import { type ClusterPlan, settingsOf } from '../render/plan.ts';
import { hostsOf } from './hosts.ts';

/** Where everything of a local cluster listens, counted from its first port. */
export const portsOf = (first: number) => ({
  store: first,
  peer: first + 1,
  write: first + 5,
  read: first + 6,
  pooler: first + 7,
  server: (index: number) => first + 11 + index,
  api: (index: number) => first + 21 + index,
});

export const memberName = (index: number): string => `n${index + 1}`;

export interface LocalWish {
  readonly folder: string;
  readonly port: number;
  readonly members: number;
  readonly patroniVersion: string;
  readonly binDir: string;
  /** dbkit itself; undefined: the servers' user cannot run it. */
  readonly program?: readonly string[] | undefined;
  /** Each member in a network of its own. */
  readonly apart?: true | undefined;
}

/** A cluster whose machines are all this one: small servers on ports of the loopback. */
export function localPlan(
  { folder, port, members, patroniVersion, binDir, program, apart }: LocalWish,
  { ha }: Pick<Config, 'ha'>,
): ClusterPlan {
  const ports = portsOf(port);
  const hosts = hostsOf({ port, apart });
  const at = (own: number): Place => ({ host: hosts.hub, port: own });
  return {
    scope: ha.scope,
    members: Array.from({ length: members }, (_one, index) => ({
      name: memberName(index),
      api: { host: hosts.member(index), port: ports.api(index) },
      server: { host: hosts.member(index), port: ports.server(index) },
      dataDir: join(folder, memberName(index)),
      passwordFile: join(folder, 'run', `${memberName(index)}.pgpass`),
    })),
    stores: [{ name: 'etcd', client: at(ports.store), peer: at(ports.peer), dataDir: join(folder, 'etcd') }],
    storeApi: isSince(patroniVersion.split('.').map(Number), [3, 0, 3]) ? 3 : 2,
    settings: settingsOf(ha, members),
    binDir,
    socketDir: join(folder, 'run'),
    parameters: { shared_buffers: '16MB', max_connections: 60 },
    writes: at(ports.write),
    reads: at(ports.read),
    pooler: at(ports.pooler),
    poolerUserList: join(folder, 'userlist.txt'),
    superuser: 'postgres',
    watchdog: 'off',
    backups: program === undefined ? null : backupsOf(folder, program),
    backupFrom: ha.backupFrom,
  };
}

/** Its repository, which every member sees. */
export const localBackups = (folder: string): string => join(folder, 'backup');

function backupsOf(folder: string, program: readonly string[]): ClusterPlan['backups'] {
  const words = program.map(shellWord).join(' ');
  return {
    dir: localBackups(folder),
    dbkit: (member) => `${words} --config ${shellWord(join(folder, `${member}.json`))}`,
    wal: shellWord(join(dirname(program.at(-1)!), 'dbkit-wal')),
  };
}

/** Every port that it takes. */
export function portsTaken({ members, stores, writes, reads, pooler }: ClusterPlan): readonly number[] {
  return [
    ...stores.flatMap(({ client, peer }) => [client.port, peer.port]),
    ...[writes, reads, pooler].map(({ port }) => port),
    ...members.flatMap(({ server, api }) => [server.port, api.port]),
  ];
}
