import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../../config/config.ts';
import { memberSettings } from '../../config/ha-settings.ts';
import { serverOn } from '../../instance/guard/preflight.ts';
import type { Files } from '../../kernel/machine.ts';
import { isThere } from '../../machine/is-there.ts';
import { type ClusterFacts, leaderOf } from '../facts.ts';
import { memberState } from '../local/local-member.ts';
import { localFolder, localNeeds, readLocal } from '../local/local-state.ts';
import type { ClusterNeeds } from '../look.ts';
import { leftPatroni } from '../member/orphan.ts';
import { maySignal, parentOf } from '../processes.ts';
import { askServer, isTrouble } from '../server.ts';
import type { LeaderHere } from './here-rows.ts';

export interface HereNeeds extends ClusterNeeds {
  readonly config: Config;
  readonly files: Pick<Files, 'readJson'>;
}

/** A member's folders, and where its server listens on this machine. */
interface MemberHere {
  readonly dataDir: string;
  readonly stateDir: string;
  readonly socketDir: string;
  readonly port: number;
  readonly isGuardOn: boolean;
}

const published = v.looseObject({ pid: v.pipe(v.number(), v.integer()) });

/**
 * The leader's processes on this machine; null where its server is not here. That it is the leader's is proven by itself: the server on this
 * machine's socket started when the leader's did. Its guard is the dbkit that says so in its state folder and is the parent of that Patroni.
 */
export async function findLeaderHere(needs: HereNeeds, cluster: ClusterFacts, signal: AbortSignal): Promise<LeaderHere | null> {
  const leader = leaderOf(cluster);
  if (!leader?.own) return null;
  const member = (await ofLocal(needs, leader.name)) ?? ofConfiguration(needs);
  const place = { host: member.socketDir, port: member.port };
  const [said, server] = await Promise.all([askServer(place, needs.config.postgresql, signal), serverOn(member.dataDir)]);
  if (isTrouble(said) || typeof server !== 'object') return null;
  if (said.startedAt !== leader.own.startedAt || said.systemIdentifier !== leader.own.systemIdentifier) return null;
  const patroni = (await leftPatroni(member.stateDir))?.pid ?? null;
  const guard = patroni === null || !member.isGuardOn ? null : await guardOf(needs, patroni, member.stateDir);
  const pids = [server.pid, patroni, guard].filter((pid) => pid !== null);
  return { server: server.pid, patroni, guard, maySignal: pids.every(maySignal) };
}

const ofConfiguration = ({ config }: HereNeeds): MemberHere => ({
  dataDir: config.postgresql.dataDir,
  stateDir: config.stateDir,
  socketDir: config.postgresql.socketDir,
  port: config.postgresql.port,
  isGuardOn: memberSettings(config)?.guard ?? false,
});

/** All members of `dbkit ha up --local` are on this machine, each with folders of its own. */
async function ofLocal(needs: HereNeeds, name: string): Promise<MemberHere | undefined> {
  const folder = localFolder(needs.config);
  const state = (await isThere(folder)) ? await readLocal(needs.files, folder) : undefined;
  const api = state && localNeeds(needs, state).config.ha.members[name];
  if (!api || api.api !== needs.config.ha.members[name]?.api) return undefined;
  const port = Number(api.server!.split(':').at(-1));
  return {
    dataDir: join(folder, name),
    stateDir: memberState(folder, name),
    socketDir: join(folder, 'run'),
    port,
    isGuardOn: state.unguarded !== true,
  };
}

/** An orphan has another parent by now. */
async function guardOf({ files }: HereNeeds, patroni: number, stateDir: string): Promise<number | null> {
  const status = await files.readJson(join(stateDir, 'status.json'), (value) => v.parse(published, value));
  const parent = await parentOf(patroni);
  return status !== undefined && status.pid === parent ? parent : null;
}
