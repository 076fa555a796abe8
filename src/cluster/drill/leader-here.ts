import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../../config/config.ts';
import { memberSettings } from '../../config/ha-settings.ts';
import type { Files } from '../../kernel/machine.ts';
import { isThere } from '../../machine/is-there.ts';
import { type ClusterFacts, leaderOf } from '../facts.ts';
import { memberState } from '../local/local-member.ts';
import { localFolder, localNeeds, readLocal } from '../local/local-state.ts';
import type { ClusterNeeds } from '../look.ts';
import { leftPatroni } from '../member/orphan.ts';
import { markOf, maySignal, type ProcessMark, parentOf } from '../processes.ts';
import { askServer, isTrouble } from '../server.ts';
import type { LeaderHere } from './here-rows.ts';
import { provenServer } from './proven-server.ts';

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
 * machine's socket started when the leader's did, and answers by this process. Its guard is the dbkit that says so in its state folder and is the
 * parent of that Patroni.
 */
export async function findLeaderHere(needs: HereNeeds, cluster: ClusterFacts, signal: AbortSignal): Promise<LeaderHere | null> {
  const leader = leaderOf(cluster);
  if (!leader?.own) return null;
  const member = (await ofLocal(needs, leader.name)) ?? ofConfiguration(needs);
  const place = { host: member.socketDir, port: member.port };
  const server = await provenServer(place, member.dataDir, needs.config.postgresql, signal); // First: one that starts meanwhile is not harmed.
  if (server === null) return null;
  const said = await askServer(place, needs.config.postgresql, signal);
  if (isTrouble(said) || said.startedAt !== leader.own.startedAt || said.systemIdentifier !== leader.own.systemIdentifier) return null;
  const patroni = (await leftPatroni(member.stateDir)) ?? null;
  const guard = patroni === null || !member.isGuardOn ? null : await guardOf(needs, patroni, member.stateDir);
  const marks = [server, patroni, guard].filter((mark) => mark !== null);
  return { server, patroni, guard, maySignal: marks.every(({ pid }) => maySignal(pid)) };
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

/** An orphan has another parent by now. Marked before it is asked for, so that a pid that is used again is no parent of it. */
async function guardOf({ files }: HereNeeds, patroni: ProcessMark, stateDir: string): Promise<ProcessMark | null> {
  const status = await files.readJson(join(stateDir, 'status.json'), (value) => v.parse(published, value));
  const guard = status && (await markOf(status.pid));
  return guard !== undefined && (await parentOf(patroni.pid)) === guard.pid ? guard : null;
}
