import type { Backups, Dumps, FoundBackup, LoadReport } from '../backups/backup.ts';
import { awaitedDump, markLoaded, replacedBefore } from '../instance/initialize/marker.ts';
import { connectSuperuser, type Local } from '../instance/local.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import { incident } from '../recovery/incidents.ts';
import { type Loss, told } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';

/** Sessions of dbkit's own are in it, so it cannot be replaced: what a dump holds of it goes beside it. */
const MAINTENANCE = 'postgres';
const BESIDE_MAINTENANCE = 'postgres_restored';

interface Filling {
  readonly backups: readonly Backups[];
  /** Where the server listens for dbkit alone. */
  readonly socketDir: string;
}

/**
 * Loads every database of the dump that this new cluster was made for, before any client meets it. One that cannot be loaded is told, and keeps
 * nothing else down. Undefined where no dump belongs into the cluster, or it is there already. A run that was killed loads all of them again.
 */
export async function fillFromDump(
  local: Local,
  { backups, socketDir }: Filling,
  signal: AbortSignal,
): Promise<RecoveryReport | undefined> {
  const { volume, owner, system } = local;
  const awaited = await awaitedDump(volume, system);
  if (awaited === undefined || awaited.isLoaded) return undefined;
  const begunMs = system.clock.monotonicMs();
  const oldBytes = await replacedBefore(volume, system);
  const found = await findDump(backups, awaited.label, signal);
  const losses: Loss[] = found
    ? [{ kind: 'since-backup', label: awaited.label, at: found.backup.createdAt, oldBytes }]
    : [{ kind: 'cluster', oldBytes }];
  if (!found) system.log.error('dump.gone', `${awaited.label} is gone: the new cluster stays empty`, { label: awaited.label });
  let loaded = 0;
  for (const database of found?.backup.databases ?? []) {
    try {
      const report = await found!.of.load(
        found!.backup,
        { database, into: database === MAINTENANCE ? BESIDE_MAINTENANCE : undefined, socketDir },
        signal,
      );
      await dropEmpty(local, report, socketDir, signal);
      loaded += 1;
      for (const { what, because } of report.missing)
        system.log.warn('dump.missing', `restored differently: ${what}: ${because}`, { label: awaited.label, database, what });
    } catch (cause) {
      signal.throwIfAborted();
      losses.push(lostDatabase(awaited.label, database, wordsOf(cause), oldBytes));
      system.log.error(
        'dump.unloaded',
        `${database} of ${awaited.label} could not be loaded: ${wordsOf(cause)}; \`dbkit backup restore ${awaited.label} --database ${database}\` tries again${needsTrust(cause)}`,
        { label: awaited.label, database },
      );
    }
  }
  await markLoaded(volume, owner, system);
  return {
    at: system.clock.now().toISOString(),
    findings: [],
    decision: 'restore',
    ...incident('dump-loaded', { label: awaited.label, count: loaded }),
    steps: [{ step: `load ${awaited.label}`, ...incident('dump-loaded', { label: awaited.label, count: loaded }), done: loaded > 0 }],
    quarantine: oldBytes,
    ...told(losses),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}

/** A dump of which nobody can tell any more that it was made here. */
const needsTrust = (cause: unknown): string =>
  cause instanceof DbkitError && cause.code === 'recovery.refused' ? ', and --trust answers for a dump that you know' : '';

async function findDump(backups: readonly Backups[], label: string, signal: AbortSignal): Promise<FoundBackup<Dumps> | undefined> {
  for (const of of backups) {
    if (of.kind !== 'logical') continue;
    const backup = (await of.repository.list(signal)).find((one) => one.label === label);
    if (backup) return { backup, of };
  }
  return undefined;
}

/** The database whose place it took was made a moment ago, and held nothing, or the same from a run that was killed. */
async function dropEmpty(local: Local, { replaced }: LoadReport, socketDir: string, signal: AbortSignal): Promise<void> {
  if (replaced === null) return;
  const session = await connectSuperuser(local, MAINTENANCE, signal, socketDir);
  try {
    await session.query(`DROP DATABASE IF EXISTS ${session.escapeIdentifier(replaced)}`);
  } finally {
    await session.end();
  }
}

const lostDatabase = (label: string, database: string, why: string, oldBytes: string | null): Loss => ({
  kind: 'database',
  database,
  path: `${label}/${database}`,
  evidence: `it could not be loaded from ${label}: ${why}`,
  relation: null,
  oldBytes,
});
