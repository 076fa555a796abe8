import type { PostgresqlOptions } from '../../boot/hold.ts';
import type { ProbeName } from '../../config/probe-names.ts';
import type { Leading } from '../leading.ts';
import type { Probe } from '../probe.ts';
import { blockedProbe, connectionsProbe, idleInTransactionProbe, longQueriesProbe } from './activity.ts';
import { authenticationProbe } from './authentication.ts';
import { backupsProbe } from './backups.ts';
import { collationsProbe } from './collations.ts';
import { connectionProbe } from './connection-probe.ts';
import { copiesProbes } from './copies.ts';
import { damageProbe } from './damage.ts';
import { dataDirectoryProbe } from './data-directory.ts';
import { checksumsProbe, wraparoundProbe } from './databases.ts';
import { diskProbe } from './disk.ts';
import { latencyProbe } from './latency.ts';
import { logProbe } from './log.ts';
import { replicationProbe } from './replication.ts';
import { serviceProbe } from './service.ts';
import { createSessions } from './sessions.ts';
import { slotsProbe } from './slots.ts';
import { userProbes } from './user-probes.ts';
import { walProbe } from './wal.ts';
import { walArchiveProbe } from './wal-archive.ts';
import { writeProbe } from './write.ts';

/** Questions that a connection alone cannot answer. */
const ofFiles: ReadonlySet<string> = new Set<ProbeName>([
  'service',
  'data-directory',
  'damage',
  'disk',
  'wal-archive',
  'log',
  'backups',
  'copies',
]);

/** Every question that can be asked of an instance, in the order in which a person would read the answers. */
export function createProbes({
  config,
  system,
  backups,
  reveal,
  leading,
}: PostgresqlOptions & { readonly leading?: Leading | undefined }): readonly Probe[] {
  const { postgresql, health } = config;
  const { clock } = system;
  const sessions = createSessions(config, clock);
  const all: readonly Probe[] = [
    serviceProbe(postgresql, sessions),
    connectionProbe(postgresql, sessions),
    authenticationProbe(postgresql, health, sessions),
    latencyProbe(health, clock, sessions),
    writeProbe(clock, sessions, health.timeoutSeconds * 1000),
    dataDirectoryProbe(config, system, sessions),
    damageProbe(config, backups, system),
    diskProbe(config, system),
    connectionsProbe(health, sessions),
    longQueriesProbe(health, sessions),
    idleInTransactionProbe(health, sessions),
    blockedProbe(health, sessions),
    walProbe(health, sessions),
    walArchiveProbe(config, backups, system, sessions),
    replicationProbe(health, sessions, leading),
    slotsProbe(health, sessions),
    wraparoundProbe(health, sessions),
    collationsProbe(sessions, clock),
    checksumsProbe(sessions),
    logProbe(config, system),
    backupsProbe(config, backups, clock),
    ...copiesProbes(config, system, reveal),
    ...userProbes(config, system, sessions),
  ];
  return postgresql.connectionOnly ? all.filter(({ name }) => !ofFiles.has(name)) : all;
}
