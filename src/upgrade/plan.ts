import { lstat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { findTools } from '../backups/dump/tools.ts';
import { sources } from '../backups/find-baseline.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import type { Finding } from '../inspection/findings.ts';
import { inspect } from '../inspection/inspect.ts';
import { type Binaries, findBinaries, majors } from '../instance/binaries.ts';
import { configFileElsewhere } from '../instance/external-configuration.ts';
import { refuseForeign, serverOn } from '../instance/guard/preflight.ts';
import { serverOwner } from '../instance/owner.ts';
import { present } from '../instance/volume.ts';
import { isAbort } from '../kernel/errors.ts';
import { decide } from '../kernel/reasons.ts';
import { roomAt } from '../machine/disk-usage.ts';
import { isExecutable, namesIn } from '../machine/is-there.ts';
import { mountsInTheWay } from '../recovery/replace.ts';
import type { UpgradeReport, UpgradeRequest } from './contract.ts';
import { isPlainPath, methodRows, newPrograms, oldPrograms } from './methods.ts';
import { obstaclesTo, type UpgradeFacts } from './obstacles.ts';

/** The work, and with what. Programs are undefined where an obstacle says so. */
export interface UpgradePlan {
  readonly report: UpgradeReport;
  readonly facts: UpgradeFacts;
  readonly old: Binaries | undefined;
  readonly new: Binaries | undefined;
}

/** A new cluster, its first WAL, and what an upgrade writes beside. */
const RESERVE_BYTES = 512 * 2 ** 20;

/** Everything that the files tell. Nothing is touched, and no server is started. Rejects for a directory that is not PostgreSQL's. */
export async function planUpgrade(options: PostgresqlOptions, request: UpgradeRequest, signal: AbortSignal): Promise<UpgradePlan> {
  const { config, system } = options;
  const { dataDir } = config.postgresql;
  await refuseForeign(dataDir);
  await mountsInTheWay(dataDir);
  const { report: seen } = await inspect(
    dataDir,
    { stateDir: config.stateDir, deep: false, ...sources(options.backups, { backupDir: config.backupDir, system }) },
    system,
    signal,
  );
  const from = seen.state === 'cluster' ? seen.major : null;
  const programs = await findPrograms(options, request, from, signal);
  const able = await abilities(options, programs, from, signal);
  const pathIsPlain = isPlainPath(dataDir);
  const chosen = decide(methodRows, { wanted: request.method, ...able, pathIsPlain });
  const shares = chosen.then === 'pg_upgrade' && (await mayShareBlocks(dataDir));
  const { freeBytes } = await roomAt(dataDir);
  const neededBytes = (shares ? 0 : seen.sizeBytes) + RESERVE_BYTES;
  const isThereIn = (name: string): Promise<boolean> => present(join(dataDir, name));
  const facts: UpgradeFacts = {
    from,
    to: programs.to,
    hasOldPrograms: programs.old !== undefined,
    configuredMajor: programs.configured?.major ?? null,
    method: chosen.then,
    canFiles: able.pgUpgrade,
    canDump: able.dump,
    dataDir,
    damage: damageIn(seen.findings),
    isStandby: (await isThereIn('standby.signal')) || (await isThereIn('recovery.signal')),
    configurationElsewhere: (await configFileElsewhere(dataDir)) ?? null,
    tablespaces: (await namesIn(join(dataDir, 'pg_tblspc'))).length,
    preparedFiles: (await namesIn(join(dataDir, 'pg_twophase'))).length,
    pathIsPlain,
    neededBytes,
    freeBytes,
  };
  const report: UpgradeReport = {
    done: false,
    from: { major: from, programs: programs.old?.directory ?? null },
    to: { major: programs.to, programs: programs.new?.directory ?? null },
    method: chosen.then,
    reason: chosen.id,
    because: chosen.words,
    transfer: chosen.then === 'pg_upgrade' ? (shares ? 'clone' : 'copy') : null,
    obstacles: obstaclesTo(facts),
    target: { dataDir, sizeBytes: seen.sizeBytes, serverRuns: typeof (await serverOn(dataDir)) === 'object' },
    neededBytes,
    freeBytes,
    warnings: await warningsOf(dataDir),
    backup: null,
    quarantine: null,
    settings: [],
    extensions: [],
    missing: [],
    databases: null,
    relations: null,
    durationMs: 0,
  };
  return { report, facts, old: programs.old, new: programs.new };
}

/** Findings that tell no damage: the circumstances in which data is found, and what a start or an upgrade itself answers. */
const circumstances: ReadonlySet<Finding['code']> = new Set([
  'server.running',
  'version.mismatch',
  'pid.stale',
  'shutdown.unclean',
  'volume.full',
  'volume.read-only',
  'entry.foreign',
  'owner.wrong',
  'mode.wrong',
  'times.differ',
]);

function damageIn(findings: readonly Finding[]): string | null {
  const found = findings.find(({ severity, code }) => severity === 'certain' && !circumstances.has(code));
  return found === undefined ? null : `${found.path}: ${found.evidence}`;
}

interface Programs {
  readonly old: Binaries | undefined;
  readonly new: Binaries | undefined;
  readonly configured: Binaries | undefined;
  readonly to: number | null;
}

/** Old ones beside the new: the configured folder tells where the data is to go, and everywhere else is looked for the other major. */
async function findPrograms(
  { config, system }: PostgresqlOptions,
  { to, oldBinDir }: UpgradeRequest,
  from: number | null,
  signal: AbortSignal,
): Promise<Programs> {
  const find = (major: number | undefined, directory?: string): Promise<Binaries | undefined> =>
    findBinaries({ major, directory }, system, signal).catch((cause: unknown) => {
      if (isAbort(cause)) throw cause;
      return undefined;
    });
  const { binDir, version } = config.postgresql;
  const configured = binDir === undefined ? undefined : await find(undefined, binDir);
  if (from === null) return { old: undefined, new: undefined, configured, to: to ?? configured?.major ?? null };
  const old = configured?.major === from ? configured : await find(from, oldBinDir);
  const wanted = to ?? [configured?.major, version].find((major) => major !== undefined && major !== from);
  if (wanted !== undefined) {
    const found = configured?.major === wanted ? configured : await find(wanted);
    return { old, new: found, configured, to: found === undefined && wanted > from ? null : wanted };
  }
  for (const major of majors.filter((one) => one > from)) {
    const found = await find(major);
    if (found) return { old, new: found, configured, to: major };
  }
  const own = configured ?? old;
  return { old, new: own, configured, to: own === undefined ? null : own.major };
}

async function abilities(
  { config, system }: PostgresqlOptions,
  programs: Programs,
  from: number | null,
  signal: AbortSignal,
): Promise<{ readonly pgUpgrade: boolean; readonly dump: boolean }> {
  const { old, new: next } = programs;
  if (old === undefined || next === undefined || from === null) return { pgUpgrade: false, dump: false };
  const owner = await serverOwner(config.postgresql, system);
  const binDir = (await isExecutable(join(next.directory, 'pg_dump'))) ? next.directory : old.directory;
  const tools = findTools(from, { config: { ...config, postgresql: { ...config.postgresql, binDir } }, system, owner }, signal);
  const whole = async (directory: string, names: readonly string[]): Promise<boolean> =>
    (await Promise.all(names.map((name) => isExecutable(join(directory, name))))).every(Boolean);
  return {
    pgUpgrade: (await whole(old.directory, oldPrograms)) && (await whole(next.directory, newPrograms)),
    dump: await tools.then(
      () => true,
      (cause: unknown) => {
        if (isAbort(cause)) throw cause;
        return false;
      },
    ),
  };
}

/** Magic numbers of file systems whose files may share blocks (statfs(2)): Btrfs, XFS, bcachefs, ZFS. The upgrade itself tries it. */
const sharing: ReadonlySet<number> = new Set([0x9123683e, 0x58465342, 0xca451a4e, 0x2fc12fc1]);
const mayShareBlocks = async (path: string): Promise<boolean> =>
  statfs(path).then(
    ({ type }) => sharing.has(type),
    () => false,
  );

async function warningsOf(dataDir: string): Promise<string[]> {
  const wal = await lstat(join(dataDir, 'pg_wal')).catch(() => undefined);
  return wal?.isSymbolicLink() ? ['pg_wal is a link today: the new cluster has its WAL in the data directory'] : [];
}
