import { withoutCluster } from '../../src/incident/cluster-part.ts';
import type { RunbookFacts } from '../../src/incident/facts.ts';

/** A server without a cluster that is well. */
export const aServer = (over: Partial<RunbookFacts> = {}): RunbookFacts => ({
  at: '2026-11-28T14:10:00.000Z',
  ...withoutCluster,
  dataDir: '/data',
  port: 5432,
  answers: true,
  isHeld: false,
  isStandby: false,
  dataBytes: 2 * 1024 ** 3,
  damage: [],
  damagedTable: null,
  troubles: [],
  backups: 7,
  goodBackup: 'data_20261128_020000',
  goodBackupAt: '2026-11-28T02:00:00.000Z',
  provenBackup: 'data_20261121_020000',
  firstMomentAt: '2026-11-27T02:00:00.000Z',
  lastMomentAt: '2026-11-28T14:09:59.000Z',
  event: null,
  eventAt: null,
  statement: null,
  eventTable: null,
  volume: 'data',
  volumePath: '/data',
  volumePercent: 40,
  freeBytes: 60 * 1024 ** 3,
  isVolumeFull: false,
  fullInSeconds: null,
  dataFreeBytes: 60 * 1024 ** 3,
  slot: null,
  slotBytes: null,
  archiveFailures: 0,
  walBytes: 64 * 1024 ** 2,
  lastRecoveryAt: null,
  ...over,
});

/** n1 leads, n2 (synchronous) and n3 stream. */
export const aCluster = (over: Partial<RunbookFacts> = {}): RunbookFacts =>
  aServer({
    hasCluster: true,
    scope: 'shop',
    members: ['n1', 'n2', 'n3'],
    answering: ['n1', 'n2', 'n3'],
    isAgreed: true,
    leader: 'n1',
    primary: 'n1',
    primaryHost: '10.0.0.1',
    streaming: ['n2', 'n3'],
    writers: ['n1'],
    candidate: 'n2',
    candidateLagBytes: 0,
    furthest: 'n2',
    wouldFailOver: true,
    ttlSeconds: 20,
    isSynchronous: true,
    hasSynchronous: true,
    lagLimitBytes: 1_048_576,
    lastChangeAt: '2026-11-20T08:00:00.000Z',
    seenAt: '2026-11-28T14:09:00.000Z',
    poolerAddress: '10.0.0.9:6432',
    ...over,
  });

/** The machine of n1 is gone. */
export const primaryGone = (over: Partial<RunbookFacts> = {}): RunbookFacts =>
  aCluster({
    answering: ['n2', 'n3'],
    silent: ['n1'],
    leader: null,
    isPrimarySilent: true,
    unreachableSince: '2026-11-28T14:02:10.000Z',
    seenDownBy: ['n2', 'n3'],
    streaming: [],
    writers: [],
    replica: 'n2',
    ...over,
  });
