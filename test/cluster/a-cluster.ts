import type { ClusterFacts, MemberFacts } from '../../src/cluster/facts.ts';

/** A member that is well; a replica on timeline 4 unless told otherwise. */
export const memberFacts = (name: string, over: Partial<MemberFacts> = {}): MemberFacts => ({
  name,
  api: `http://${name}:8008`,
  server: { host: name, port: 5432 },
  role: 'replica',
  state: 'running',
  patroni: patroniFacts(),
  own: ownFacts({ isWritable: over.role === 'leader', isStreaming: over.role !== 'leader' }),
  trouble: null,
  isWritable: over.role === 'leader',
  timeline: 4,
  lagBytes: 0,
  isNeverLeader: false,
  needsRestart: false,
  ...over,
});

export const patroniFacts = (over: Partial<NonNullable<MemberFacts['patroni']>> = {}): NonNullable<MemberFacts['patroni']> => ({
  version: '3.1.0',
  scope: 'shop',
  isPrimary: false,
  state: 'running',
  startedAt: '2026-11-28 11:56:03.401333+00:00',
  dcsSeenAt: new Date(0),
  systemIdentifier: '7713189254549480100',
  isPaused: false,
  isFailsafe: false,
  isWatchdogUnusable: false,
  isTurning: true,
  dcsAgeSeconds: 1,
  ...over,
});

export const ownFacts = (over: Partial<NonNullable<MemberFacts['own']>> = {}): NonNullable<MemberFacts['own']> => ({
  isWritable: false,
  timeline: 4,
  isTimelineCertain: true,
  walAt: 67_418_024,
  replayedAt: over.walAt ?? 67_418_024,
  checkpointTimeline: over.timeline ?? 4,
  isStreaming: true,
  systemIdentifier: '7713189254549480100',
  startedAt: '1795866963401333',
  canBeRewound: true,
  ...over,
});

export const settingsFacts = (over: Partial<NonNullable<ClusterFacts['settings']>> = {}): NonNullable<ClusterFacts['settings']> => ({
  ttlSeconds: 20,
  loopWaitSeconds: 2,
  retryTimeoutSeconds: 5,
  maximumLagBytes: 1_048_576,
  checksTimeline: true,
  isSynchronous: true,
  isFailsafeOn: true,
  isPaused: false,
  pauseUntil: null,
  ...over,
});

/** n1 leads, n2 is synchronous, n3 follows; `members` replaces those of the same name. */
export const clusterFacts = (members: readonly MemberFacts[] = [], over: Partial<ClusterFacts> = {}): ClusterFacts => ({
  scope: 'shop',
  members: [memberFacts('n1', { role: 'leader' }), memberFacts('n2', { role: 'synchronous' }), memberFacts('n3')].map(
    (one) => members.find(({ name }) => name === one.name) ?? one,
  ),
  leader: 'n1',
  isAgreed: true,
  isPaused: false,
  isPauseOver: false,
  settings: settingsFacts(),
  scheduledSwitchover: null,
  unlisted: [],
  ...over,
});
