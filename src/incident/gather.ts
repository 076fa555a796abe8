import { everyBackup } from '../backups/find-backup.ts';
import { historyOf } from '../cluster/history.ts';
import { type ClusterNeeds, look, reach } from '../cluster/look.ts';
import { createPooler } from '../cluster/pooler.ts';
import { readSeen } from '../cluster/watch.ts';
import type { ProbeName } from '../config/probe-names.ts';
import { checkHealth } from '../health/check.ts';
import { probeNames } from '../health/probe.ts';
import type { Inspect } from '../inspection/report.ts';
import { within } from '../kernel/deadline.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Logger } from '../kernel/machine.ts';
import { readTimeline } from '../restore/read-timeline.ts';
import { reportStatus } from '../supervisor/report-status.ts';
import { clusterPart, type HeardCluster, withoutCluster } from './cluster-part.ts';
import type { RunbookFacts } from './facts.ts';
import { serverPart } from './server-part.ts';

export type GatherNeeds = Parameters<typeof reportStatus>[0] &
  Parameters<typeof checkHealth>[0] &
  ClusterNeeds & { readonly inspect: Inspect; readonly log: Logger };

/** A part of the facts that does not come in time is not known; the runbook is shown all the same. */
const LIMITS = { clusterMs: 8_000, serverMs: 6_000, momentsMs: 15_000 };

const probes: readonly ProbeName[] = ['damage', 'disk', 'wal', 'slots', 'checksums'];

/** Asks everything once and at the same time; works as far as it can with all of it down. Never rejects but for the signal. */
export async function gather(app: GatherNeeds, { moments }: { readonly moments: boolean }, signal: AbortSignal): Promise<RunbookFacts> {
  const { config, clock, log } = app;
  const bounded = async <T>(what: string, limitMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> => {
    try {
      return await within([signal], limitMs, work);
    } catch (cause) {
      signal.throwIfAborted();
      log.debug('runbook.not-known', `${what} is not known: ${wordsOf(cause)}`);
      return undefined;
    }
  };
  const there = await probeNames(app.services);
  const only = probes.filter((name) => there.has(name));
  const [cluster, status, health, inspection, backups, reachable] = await Promise.all([
    Object.keys(config.ha.members).length === 0 ? undefined : bounded('the cluster', LIMITS.clusterMs, (limited) => hear(app, limited)),
    bounded('the status', LIMITS.serverMs, (limited) => reportStatus(app, limited)),
    only.length === 0 ? undefined : bounded('the health', LIMITS.serverMs, (limited) => checkHealth(app, { only }, limited)),
    bounded('the data directory', LIMITS.serverMs, (limited) => app.inspect({ deep: false }, limited)),
    bounded('the list of backups', LIMITS.serverMs, (limited) => everyBackup(app, limited)),
    moments ? bounded('the timeline', LIMITS.momentsMs, (limited) => readTimeline(app, undefined, limited)) : undefined,
  ]);
  const { dataDir, port } = config.postgresql;
  return {
    at: clock.now().toISOString(),
    ...(cluster === undefined ? withoutCluster : clusterPart(cluster)),
    ...serverPart({
      status,
      health,
      inspection,
      backups: backups ?? [],
      moments: reachable,
      dataDir,
      port,
      fullPercent: config.health.disk.critical,
    }),
  };
}

async function hear(app: GatherNeeds, signal: AbortSignal): Promise<HeardCluster> {
  const { config, files } = app;
  const reached = await reach(app);
  const [facts, pooler, seen, changes] = await Promise.all([
    look(app, signal, reached),
    config.ha.pooler === undefined ? null : createPooler(config.ha.pooler, config.postgresql).look(signal),
    readSeen(files, config.stateDir).catch(() => undefined),
    historyOf(reached, signal),
  ]);
  return { facts, pooler, seen, changes: changes ?? [] };
}
