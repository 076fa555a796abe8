import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { fromText, join, toText } from '../../formats/byte-path.ts';
import { formatLsn } from '../../formats/wal-segment.ts';
import { loadDriver } from '../../instance/connection.ts';
import { present } from '../../instance/volume.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { lowerPriority } from '../../machine/low-priority.ts';
import { optimizingRarely } from '../../machine/optimize-rarely.ts';
import { syncFileSystem } from '../../machine/sync-file-system.ts';
import { isGood } from '../backup.ts';
import { syncFiles, syncTree, writeNew } from '../durable-tree.ts';
import { removeTree } from '../remove-tree.ts';
import type { BackupRun, Taken } from './begin-copy.ts';
import { readCluster } from './cluster.ts';
import { backUpCold } from './cold.ts';
import { type Copied, reportDamage, stillTaken } from './copy-tree.ts';
import { backUpHot } from './hot.ts';
import { type ManifestFile, renderManifest } from './manifest.ts';
import { takeOver } from './pages/take-over.ts';
import { type BackupRecord, packStamp, type WholeRecord } from './record.ts';

export type CreateNeeds = Pick<BackupRun, 'config' | 'system' | 'dataDir' | 'owner' | 'repository' | 'options'>;

/**
 * Takes one base backup under the repository's lock and publishes it whole, or leaves nothing. Hot when a server runs on the data, cold when
 * it was shut down cleanly; rejects with the reason otherwise.
 */
export async function createBackup(needs: CreateNeeds, signal: AbortSignal): Promise<WholeRecord> {
  await loadDriver(); // It is large, and its cached code is not taken under another flag.
  return optimizingRarely(() => create(needs, signal));
}

async function create(needs: CreateNeeds, signal: AbortSignal): Promise<WholeRecord> {
  const { system, dataDir, repository } = needs;
  const began = system.clock.monotonicMs();
  if (needs.options.lowPriority) await lowerPriority(system, signal);
  const cluster = await readCluster(dataDir, signal);
  const hot = await hasPostmaster(dataDir);
  if (!hot && !cluster.shutDown) {
    throw new DbkitError('service.unready', 'the server was not shut down cleanly and does not run, so its files are not consistent', {
      hint: 'start it, so that it replays its WAL, and take the backup then',
    });
  }
  const own = (await repository.records(signal)).filter(
    ({ state, systemIdentifier }) => state !== 'damaged' && systemIdentifier === cluster.systemIdentifier,
  );
  const newest = needs.options.full || isDueInFull(own, needs.config.backup.fullEvery) ? undefined : own.at(-1);
  const earlier = newest && (await repository.wholeOf(newest, signal));
  const label = await repository.freeLabel(signal);
  const run: BackupRun = { ...needs, label, staging: fromText(repository.stagingOf(label)), cluster, earlier };
  system.log.info('backup.started', `Taking base backup ${label} of the ${hot ? 'running' : 'stopped'} server.`, { label });
  try {
    const taken = await (hot ? backUpBetweenTablespaces(run, signal) : backUpCold(run, signal));
    let record = await seal(run, taken, system.clock.monotonicMs() - began, signal);
    const publish = async (moreBytes: number): Promise<void> => {
      record = { ...record, newBytes: record.newBytes + moreBytes };
      await repository.publish(record);
    };
    await takeOver(run, { files: stillTaken(taken.copied), isGood: isGood(record) }, publish, signal);
    reportDamage(taken.copied, system.log);
    await rememberEarlierDamage(run, taken.copied);
    return record;
  } catch (thrown) {
    await removeTree(repository.stagingOf(label)).catch(() => undefined); // Else the next run removes it.
    throw thrown;
  }
}

/** The earlier backup is marked as verification would do it: it is not used again unasked. Under the lock. */
async function rememberEarlierDamage({ earlier, label, repository, system: { log } }: BackupRun, { earlierDamage }: Copied): Promise<void> {
  const [first] = earlierDamage;
  if (earlier === undefined || first === undefined) return;
  const more = earlierDamage.size > 1 ? ` and ${earlierDamage.size - 1} more` : '';
  const problem = `backup ${earlier.label} is damaged: ${toText(first[0])}${more} cannot be read: ${first[1]}`;
  await repository.rewrite(earlier.label, (now) => ({ ...now, state: 'damaged', problem }));
  log.error('backup.damaged', `${problem}. It is not used for a restore any more; ${label} has a copy of that file from the data itself.`, {
    label: earlier.label,
    files: earlierDamage.size,
  });
}

/** Damage of a shared file is damage of every backup that shares it: now and then one must stand by itself. Pure. */
export const isDueInFull = (oldestFirst: readonly Pick<BackupRecord, 'previous'>[], fullEvery: number): boolean =>
  fullEvery > 0 && oldestFirst.length - oldestFirst.findLastIndex(({ previous }) => previous === null) >= fullEvery;

const ATTEMPTS_MAX = 3;

/**
 * A tablespace that is made while the copy runs is both in the files and in the WAL, whose replay would stumble over its directory, or reach
 * for the place where the replaced instance still has it. That is rare and the copy is quick, so it is taken again.
 */
async function backUpBetweenTablespaces(run: BackupRun, signal: AbortSignal): Promise<Taken> {
  const { system, repository, label } = run;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const taken = await backUpHot(run, signal);
    if (!taken.createsTablespaces) return taken;
    system.log.info('backup.again', 'A tablespace was made meanwhile, so the backup is taken again.', { label, attempt });
    await removeTree(repository.stagingOf(label));
  }
  throw new DbkitError('service.unready', `tablespaces were created during each of ${ATTEMPTS_MAX} attempts to take a backup`, {
    hint: 'take the backup again when that is done; nothing was published',
  });
}

const hasPostmaster = (dataDir: string): Promise<boolean> => present(joinPath(dataDir, 'postmaster.pid'));

/** Clones and what was copied in bulk have not been synced yet; where one syncfs(2) cannot do it, each file is. */
async function makeDurable(
  { staging, system }: BackupRun,
  { bulk, copied, sharing, directories }: Taken,
  files: readonly ManifestFile[],
  signal: AbortSignal,
): Promise<void> {
  const hasClones = copied.cloned > 0 || (copied.sharedFiles > 0 && sharing.method() === 'reflink');
  const pending = bulk || hasClones;
  if (pending && (await syncFileSystem(toText(staging), system, signal))) return;
  const taken = new Set(copied.taken.map(({ path }) => path)); // They are not there yet.
  if (pending)
    await syncFiles(
      staging,
      files.map(({ path }) => path).filter((path) => !taken.has(path)),
    );
  await syncTree(staging, directories);
}

/** Writes the manifest, makes everything durable, and describes it. */
async function seal(run: BackupRun, taken: Taken, durationMs: number, signal: AbortSignal): Promise<WholeRecord> {
  const { cluster, staging, owner, system, label, dataDir, repository, options } = run;
  const { copied } = taken;
  const files = [...copied.files].sort((a, b) => (a.path < b.path ? -1 : 1));
  if (!files.some(({ path }) => path === 'PG_VERSION')) throw new DbkitError('data.corrupt', 'PG_VERSION vanished during the backup');
  const systemIdentifier = cluster.major >= 17 ? cluster.systemIdentifier : undefined;
  const wal = { timeline: taken.timeline, start: taken.startLsn, end: taken.stopLsn };
  const manifest = renderManifest({ systemIdentifier, files, wal });
  await writeNew(join(staging, fromText('backup_manifest')), manifest, { mode: 0o600, owner });
  await makeDurable(run, taken, files, signal);
  system.reached('backup.synced');
  const walBytes = taken.wal.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return {
    schema: 'dbkit.backup/v1',
    label,
    engine: 'copy',
    kind: 'physical',
    mode: taken.mode,
    fromStandby: taken.fromStandby,
    state: copied.damage.size > 0 ? 'damaged' : 'good',
    createdAt: system.clock.now().toISOString(),
    verifiedAt: null,
    verifiedDeep: false,
    problem: null,
    provenAt: null,
    rtoMs: null,
    pinned: options.pin ?? false,
    note: options.note ?? null,
    pgVersion: cluster.major,
    systemIdentifier: cluster.systemIdentifier,
    startLsn: formatLsn(taken.startLsn),
    stopLsn: formatLsn(taken.stopLsn),
    checkpointLsn: formatLsn(taken.checkpointLsn),
    timeline: taken.timeline,
    walSegmentSizeBytes: cluster.segmentSizeBytes,
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, walBytes),
    newBytes: copied.newBytes + taken.walNewBytes,
    files: files.length,
    sharedFiles: copied.sharedFiles,
    previous: copied.sharedFiles + copied.cloned + copied.taken.length > 0 ? (run.earlier?.label ?? null) : null,
    sharing: copied.sharedFiles > 0 ? taken.sharing.method() : 'none',
    durationMs: Math.round(durationMs),
    knownDamage: [...(await repository.openDamage(signal))], // Asked last: what was found while the copy ran is in it, too.
    damage: [...copied.damage].map(([path, blocks]) => ({ path, blocks })),
    manifestSha256: createHash('sha256').update(manifest, 'utf8').digest('hex'),
    wal: taken.wal,
    tablespaces: taken.tablespaces.map(({ oid, location }) => ({ oid, location })),
    tablespaceMap: taken.tablespaceMap.length > 0 ? taken.tablespaceMap.toString('latin1') : null,
    createsTablespaces: taken.createsTablespaces,
    groupAccess: ((await stat(dataDir)).mode & 0o040) !== 0,
    copyBeganNs: taken.copyBeganNs.toString(),
    packed: [],
    sources: [...copied.stamps].map(([path, stamp]) => packStamp(path, stamp)),
  };
}
