import type { Config } from '../config/config.ts';
import type { Clock, Logger } from '../kernel/machine.ts';
import {
  type ClusterView,
  type DynamicSettings,
  type MemberView,
  type PatroniView,
  readCluster,
  readPatroni,
  readSettings,
} from './answers.ts';
import type { ClusterFacts, MemberFacts } from './facts.ts';
import { type Member, membersOf } from './members.ts';
import { type AskPatroni, basic, createPatroni } from './patroni.ts';
import { askServer, isTrouble, type ServerTrouble, type ServerView } from './server.ts';
import { addressesOf, serverPlace } from './server-place.ts';

/** The parts that a look at a cluster needs. */
export interface ClusterNeeds {
  readonly config: Pick<Config, 'ha' | 'postgresql'>;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly alerts: { reveal(place: NonNullable<Config['ha']['apiPassword']>): Promise<string> };
}

/** A cluster that can be asked. */
export interface Reach {
  readonly members: readonly Member[];
  readonly ask: AskPatroni;
}

/** Throws `config.invalid` where no member is named. */
export async function reach({ config: { ha, postgresql }, alerts }: ClusterNeeds): Promise<Reach> {
  const members = membersOf(ha, postgresql.port);
  const { apiUsername, apiPassword } = ha;
  const authorization = apiUsername && apiPassword ? basic(apiUsername, await alerts.reveal(apiPassword)) : undefined;
  return { members, ask: createPatroni(authorization) };
}

interface Asked {
  readonly member: Member;
  readonly patroni: NonNullable<MemberFacts['patroni']> | null;
  readonly cluster: ClusterView | undefined;
  readonly settings: DynamicSettings | undefined;
}

/**
 * Patroni's word, and beside it what each server says itself; four seconds at most, whatever is gone. Every member is asked, so that it
 * works without the store of agreement, and from either side of a partition.
 */
export async function look(needs: ClusterNeeds, signal: AbortSignal, { members, ask }: Reach): Promise<ClusterFacts> {
  const asked = await Promise.all(members.map((member) => askMember(member, ask, needs.clock, signal)));
  const cluster = freshest(asked);
  const said = (name: string): MemberView | undefined => cluster?.members.find((one) => one.name === name);
  const views = await Promise.all(
    asked.map(async ({ member, patroni }) => {
      const one = said(member.name);
      const server = await serverPlace(member, one, needs.config.postgresql.sslMode, addressesOf(signal));
      return { member, patroni, said: one, server, view: await askServer(server, needs.config.postgresql, signal) };
    }),
  );
  const leader = leaderIn(cluster, views);
  const leaderView = views.find(({ member }) => member.name === leader)?.view;
  const head = leaderView && !isTrouble(leaderView) && leaderView.isWritable ? leaderView.walAt : null;
  const settings = asked.find((one) => one.settings)?.settings ?? null;
  return {
    scope: asked.find(({ patroni }) => patroni)?.patroni?.scope ?? null,
    members: views.map((one) => factsOf(one, head)),
    leader,
    isAgreed: cluster !== undefined,
    isPaused: cluster?.isPaused ?? asked.some(({ patroni }) => patroni?.isPaused),
    isPauseOver: settings?.pauseUntil != null && Date.parse(settings.pauseUntil) <= needs.clock.now().getTime(),
    settings,
    scheduledSwitchover: cluster?.scheduledSwitchover ?? null,
    unlisted: cluster?.members.map(({ name }) => name).filter((name) => !members.some((member) => member.name === name)) ?? [],
  };
}

async function askMember(member: Member, ask: AskPatroni, clock: Clock, signal: AbortSignal): Promise<Asked> {
  const [own, live, cluster, config] = await Promise.all(
    ['/patroni', '/liveness', '/cluster', '/config'].map((path) => ask(member, path, signal)),
  );
  const view = readPatroni(own!.json);
  return {
    member,
    patroni: view ? { ...view, isTurning: live!.status !== 503, dcsAgeSeconds: ageSeconds(view, own!.sentAt ?? clock.now()) } : null,
    cluster: readCluster(cluster!.json),
    settings: readSettings(config!.json),
  };
}

/** By the member's own clock on both sides: clocks of machines differ. */
const ageSeconds = ({ dcsSeenAt }: PatroniView, now: Date): number | null =>
  dcsSeenAt === null ? null : Math.max(0, Math.round((now.getTime() - dcsSeenAt.getTime()) / 1000));

/** The cluster as the member sees it that saw the store last: one that is cut off goes on telling what it knew. */
function freshest(asked: readonly Asked[]): ClusterView | undefined {
  const age = ({ patroni }: Asked): number => patroni?.dcsAgeSeconds ?? Number.POSITIVE_INFINITY;
  return asked.filter(({ cluster }) => cluster).sort((a, b) => age(a) - age(b))[0]?.cluster;
}

interface Seen {
  readonly member: Member;
  readonly patroni: MemberFacts['patroni'];
  readonly said: MemberView | undefined;
  readonly server: Member['server'];
  readonly view: ServerView | ServerTrouble;
}

function leaderIn(cluster: ClusterView | undefined, seen: readonly Seen[]): string | null {
  if (cluster) return cluster.members.find(({ role }) => role === 'leader' || role === 'standby-leader')?.name ?? null;
  return seen.find(({ patroni }) => patroni?.isPrimary && patroni.state === 'running')?.member.name ?? null;
}

function factsOf({ member, patroni, said, server, view }: Seen, head: number | null): MemberFacts {
  const own = isTrouble(view) ? null : view;
  const trouble = isTrouble(view) ? view : null;
  const isPrimaryByPatroni = trouble?.kind === 'refused' && patroni ? patroni.isPrimary && patroni.state === 'running' : null;
  return {
    name: member.name,
    api: member.api,
    server,
    role: said?.role ?? (patroni === null ? 'unknown' : patroni.isPrimary ? 'leader' : 'replica'),
    state: patroni?.state ?? said?.state ?? null,
    patroni,
    own,
    trouble,
    isWritable: own?.isWritable ?? isPrimaryByPatroni,
    timeline: own === null ? (said?.timeline ?? null) : own.isTimelineCertain ? own.timeline : null,
    lagBytes: own !== null && head !== null ? Math.max(0, head - own.walAt) : (said?.lagBytes ?? null),
    isNeverLeader: said?.isNeverLeader ?? false,
    needsRestart: said?.needsRestart ?? false,
  };
}
