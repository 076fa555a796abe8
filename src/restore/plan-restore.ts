import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Backup, BaseBackups, FoundBackup } from '../backups/backup.ts';
import { readBackupCluster, readCluster } from '../backups/base/cluster.ts';
import type { PointPlan } from '../backups/base/points/point.ts';
import { findBackup, requireBase } from '../backups/find-backup.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { walk } from '../inspection/walk.ts';
import { type Binaries, findBinaries } from '../instance/binaries.ts';
import { refuseForeign, serverOn } from '../instance/guard/preflight.ts';
import { serverOwner } from '../instance/owner.ts';
import { clusterEntries, present, volumeOf } from '../instance/volume.ts';
import { DbkitError, isAbort } from '../kernel/errors.ts';
import type { Identity } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { bytes } from '../kernel/units.ts';
import { roomAt } from '../machine/disk-usage.ts';
import { mountsInTheWay } from '../recovery/replace.ts';
import type { RestoreReport, RestoreRequest } from './contract.ts';
import { pointBackup } from './point-backup.ts';
import { findReplaced, type ReplacedData } from './replaced.ts';

/** The work, and with what. */
export interface RestorePlan {
  readonly report: RestoreReport;
  readonly from: FoundBackup<BaseBackups> | { readonly replaced: ReplacedData };
  readonly binaries: Binaries;
}

const RESERVE_BYTES = 64 * 2 ** 20;
/** A boot writes a checkpoint, a new segment or two, and what its recovery replays. */
const BOOT_TEST_BYTES = 256 * 2 ** 20;

/** Everything that can be known before anything is touched. Rejects with the reason when the restore cannot work. */
export async function planRestore(options: PostgresqlOptions, request: RestoreRequest, signal: AbortSignal): Promise<RestorePlan> {
  const { config, system } = options;
  const { dataDir, binDir } = config.postgresql;
  await refuseForeign(dataDir);
  await mountsInTheWay(dataDir);
  const owner = await serverOwner(config.postgresql, system);
  const point = request.point ? await pointBackup(options, { point: request.point, label: request.label }, signal) : undefined;
  const from =
    request.source === 'backup'
      ? requireBase(point?.found ?? request.found ?? (await findBackup(options, request.label, signal)))
      : { replaced: await findReplaced(volumeOf(dataDir), config.backupDir, request.label, signal) };
  const source = sourceOf(from);
  const binaries = await findBinaries({ major: source.pgVersion || undefined, directory: binDir }, system, signal);
  const warnings = 'backup' in from ? await judge(options, from, { binaries, owner }, signal) : [];
  const { freeBytes } = await roomAt(dataDir);
  const neededBytes = 'backup' in from ? source.sizeBytes + (point?.plan.walBytes ?? 0) + RESERVE_BYTES : 0;
  if (neededBytes > freeBytes) {
    throw new DbkitError(
      'volume.full',
      `the restore needs ${bytes(neededBytes)} beside the data, and ${dataDir} has ${bytes(freeBytes)} left`,
      {
        hint: 'free some space on that volume, or restore to another place: `dbkit backup restore LABEL --target DIR`; nothing was changed',
      },
    );
  }
  const server = await serverOn(dataDir);
  const entries = await clusterEntries(dataDir).catch(() => []);
  const unfinished = (await present(volumeOf(dataDir).journal)) || (await present(volumeOf(dataDir).initializing));
  return {
    from,
    binaries,
    report: {
      done: false,
      source,
      target: {
        dataDir,
        sizeBytes: sizeOf(dataDir, signal),
        systemIdentifier: (await readCluster(dataDir, signal).catch(unlessOwnTrouble))?.systemIdentifier ?? null,
        state: unfinished ? 'unfinished' : entries.length === 0 ? 'empty' : 'cluster',
        serverRuns: typeof server === 'object',
        quarantine: null,
      },
      neededBytes,
      freeBytes,
      point: point?.plan ?? null,
      bootTest: { ...decideBootTest(request, 'replaced' in from, freeBytes - neededBytes), databases: null },
      warnings: [...warnings, ...(point ? elsewhere(point.plan) : [])],
      recoveredTo: momentOf(request, point?.plan) ?? source.createdAt,
      durationMs: 0,
      downtimeMs: null,
    },
  };
}

/** The last commit that is in, or the time that PostgreSQL itself is told to stop at; undefined: that of the backup, which is the least. */
function momentOf({ point }: RestoreRequest, plan: PointPlan | undefined): string | undefined {
  if (plan?.lastCommit) return isoOf(plan.lastCommit.atMicros);
  return plan?.until && point?.to === 'time' ? isoOf(point.value) : undefined;
}

const isoOf = (micros: string): string => new Date(Number(BigInt(micros) / 1000n)).toISOString();

const elsewhere = ({ timeline, otherTimelines }: PointPlan): string[] =>
  otherTimelines.length === 0
    ? []
    : [
        `this is a moment of timeline ${timeline}; there ${otherTimelines.length === 1 ? 'is' : 'are'} also ${otherTimelines.join(', ')}: --timeline names one`,
      ];

/** Of what may be looked at; nothing where there is no directory. */
function sizeOf(dataDir: string, signal: AbortSignal): number {
  if (!existsSync(dataDir)) return 0;
  return [...walk(dataDir, signal).entries.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function sourceOf(from: RestorePlan['from']): RestoreReport['source'] {
  if ('replaced' in from) {
    const { label, path, replacedAt, pgVersion, sizeBytes } = from.replaced;
    return { kind: 'replaced', label, path, createdAt: replacedAt, sizeBytes, pgVersion, state: null, note: null };
  }
  const { label, path, createdAt, sizeBytes, pgVersion, state, note = null } = from.backup;
  return { kind: 'backup', label, path, createdAt, sizeBytes, pgVersion, state, note };
}

/** Its own pg_control must read on this machine, and these programs must have its block size. */
async function judge(
  { config, system }: PostgresqlOptions,
  { backup, of }: FoundBackup<BaseBackups>,
  { binaries, owner }: { binaries: Binaries; owner: Identity },
  signal: AbortSignal,
): Promise<string[]> {
  if (of.name === 'copy') await requireReadable(system, backup, { binaries, owner }, signal);
  const today = await readCluster(config.postgresql.dataDir, signal).catch(unlessOwnTrouble);
  signal.throwIfAborted();
  return [
    ...(backup.state === 'damaged' ? [`${backup.label} is marked as damaged: \`dbkit backup show ${backup.label}\` says why`] : []),
    ...(today && today.systemIdentifier !== backup.systemIdentifier
      ? ['it is the backup of another cluster than the one that is there now']
      : []),
  ];
}

async function requireReadable(
  system: PostgresqlOptions['system'],
  backup: Backup,
  { binaries, owner }: { binaries: Binaries; owner: Identity },
  signal: AbortSignal,
): Promise<void> {
  const cluster = await readBackupCluster(backup.path, signal).catch((cause: unknown) => {
    if (isAbort(cause)) throw cause;
    throw new DbkitError('data.corrupt', `the pg_control of ${backup.label} cannot be read on this machine`, {
      hint: `\`dbkit backup verify ${backup.label}\` tells damage from another architecture; nothing was changed`,
      cause,
    });
  });
  const blockSize = await system.runner
    .attempt(
      { file: join(binaries.directory, 'postgres'), args: ['-C', 'block_size', '-D', backup.path], as: owner, timeoutMs: 10_000 },
      signal,
    )
    .catch(() => undefined);
  const compiledBytes = Number(blockSize?.stdout.trim() || cluster.blockSizeBytes);
  if (blockSize?.exitCode === 0 && compiledBytes !== cluster.blockSizeBytes) {
    throw new DbkitError(
      'data.version',
      `${backup.label} has blocks of ${cluster.blockSizeBytes} bytes, the programs in ${binaries.directory} of ${compiledBytes}`,
      {
        hint: 'set POSTGRES_BIN_DIR to programs that were built like those that made it; nothing was changed',
      },
    );
  }
}

function decideBootTest({ bootTest, point }: RestoreRequest, isUndo: boolean, roomBytes: number): { planned: boolean; because: string } {
  if (isUndo) return { planned: false, because: 'it is brought back as it was' };
  if (point) return { planned: true, because: 'only a start shows that the moment was reached' };
  if (bootTest !== undefined) return { planned: bootTest, because: 'asked for' };
  if (roomBytes >= BOOT_TEST_BYTES) return { planned: true, because: 'there is room for it' };
  return { planned: false, because: `it may need ${bytes(BOOT_TEST_BYTES)} more than there is` };
}
