import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../../config/config.ts';
import type { Files } from '../../kernel/machine.ts';
import { Secret } from '../../kernel/secret.ts';
import { isThere } from '../../machine/is-there.ts';
import type { ClusterNeeds } from '../look.ts';
import { lives } from '../processes.ts';
import { hostsOf } from './hosts.ts';
import { memberName, portsOf } from './local-plan.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(1));
const localState = v.strictObject({
  schema: v.literal('dbkit.ha-cluster/v1'),
  port: v.pipe(count, v.maxValue(65_000)),
  members: v.pipe(count, v.maxValue(9)),
  password: v.pipe(v.string(), v.nonEmpty()),
  /** Its members are Patroni alone, to compare with. */
  unguarded: v.optional(v.literal(true)),
  /** Its members have networks of their own (networks.ts). */
  apart: v.optional(v.literal(true)),
  /** By pid and start time: a pid alone may be another program's by now. */
  processes: v.array(v.strictObject({ name: v.string(), pid: count, startedTicks: v.string() })),
});

/** The cluster that `dbkit ha up --local` has made, and its programs that run. */
export type LocalState = v.InferOutput<typeof localState>;

export const localFolder = ({ stateDir }: Pick<Config, 'stateDir'>): string => join(stateDir, 'ha-local');
const stateFile = (folder: string): string => join(folder, 'cluster.json');

/** undefined: none was made here. */
export const readLocal = (files: Pick<Files, 'readJson'>, folder: string): Promise<LocalState | undefined> =>
  files.readJson(stateFile(folder), (value) => v.parse(localState, value));

/** Holds the superuser's password: only its owner may read it. */
export const writeLocal = (files: Pick<Files, 'write'>, folder: string, state: LocalState): Promise<void> =>
  files.write(stateFile(folder), `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });

/** Those of its programs that still run. */
export async function runningOf({ processes }: LocalState): Promise<LocalState['processes']> {
  const running = await Promise.all(processes.map(lives));
  return processes.filter((_one, index) => running[index]);
}

/** The parts that a look at a cluster needs, with the addresses of the local one. */
export function localNeeds<Needs extends ClusterNeeds>(needs: Needs, { port, members, password, apart }: LocalState): Needs {
  const ports = portsOf(port);
  const hosts = hostsOf({ port, apart });
  const addresses = Array.from({ length: members }, (_one, index) => ({
    name: memberName(index),
    api: `http://${hosts.member(index)}:${ports.api(index)}`,
    server: `${hosts.member(index)}:${ports.server(index)}`,
  }));
  const { ha, postgresql } = needs.config;
  const local = {
    ...ha,
    members: Object.fromEntries(addresses.map(({ name, api, server }) => [name, { api, server }])),
    writeAddress: `${hosts.hub}:${ports.write}`,
    pooler: `${hosts.hub}:${ports.pooler}`,
  };
  const login = { ...postgresql, superuser: 'postgres', superuserPassword: new Secret(password) };
  return { ...needs, config: { ...needs.config, ha: local, postgresql: login } };
}

type AnyNeeds = ClusterNeeds & { readonly config: Config; readonly files: Pick<Files, 'readJson'> };

/** For whoever names no members: the verb is then about the cluster of `dbkit ha up --local`, where one was made. */
export const aboutCluster =
  <Needs extends AnyNeeds, A extends readonly unknown[], R>(verb: (needs: Needs, ...rest: A) => Promise<R>) =>
  async (needs: Needs, ...rest: A): Promise<R> =>
    verb(await ownOrLocal(needs), ...rest);

async function ownOrLocal<Needs extends AnyNeeds>(needs: Needs): Promise<Needs> {
  if (Object.keys(needs.config.ha.members).length > 0) return needs;
  const folder = localFolder(needs.config);
  const state = (await isThere(stateFile(folder))) ? await readLocal(needs.files, folder) : undefined;
  return state === undefined ? needs : localNeeds(needs, state);
}
