import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { requireBase } from '../backups/find-backup.ts';
import type { Hold, PostgresqlOptions } from '../boot/hold.ts';
import { createHolder } from '../boot/holder.ts';
import { readControl } from '../inspection/state.ts';
import type { Local } from '../instance/local.ts';
import { onPrivateServer } from '../instance/server/private-server.ts';
import { DbkitError } from '../kernel/errors.ts';
import { isExecutable } from '../machine/is-there.ts';
import { syncFileSystem } from '../machine/sync-file-system.ts';
import { takePlace } from '../restore/take-place.ts';
import { OWN_SLOT } from '../wal/slot.ts';
import { upgradeByDump } from './by-dump.ts';
import { canClone, upgradeByFiles } from './by-files.ts';
import type { Upgrade, UpgradeReport, UpgradeRequest } from './contract.ts';
import { finishNewCluster, unavailable } from './finish.ts';
import { makeNewCluster } from './new-cluster.ts';
import { obstaclesTo, type UpgradeFacts } from './obstacles.ts';
import { askOld, type OldCluster, onOldServer, quietBeside } from './old-cluster.ts';
import { planUpgrade, type UpgradePlan } from './plan.ts';
import { requireNone } from './refuse.ts';

const SYNC_TIMEOUT_MS = 60 * 60_000;

/** Upgrades of one instance: planned from its files, made beside the data, swapped through the journal. */
export function createUpgrade(options: PostgresqlOptions): Upgrade {
  return {
    plan: async (request, signal) => (await planUpgrade(options, request, signal)).report,
    backUp: (report, signal) => backUp(options, report, signal),
    run: (request, backup, signal) => run(options, request, backup, signal),
  };
}

async function backUp({ backups, system }: PostgresqlOptions, { from, to }: UpgradeReport, signal: AbortSignal): Promise<string> {
  const of = backups.find(({ kind }) => kind === 'physical');
  if (!of) throw new DbkitError('backup.missing', 'no backup of the data can be taken here', { hint: 'nothing was changed' });
  const note = `before the upgrade from PostgreSQL ${from.major} to ${to.major}`;
  const backup = await of.take(signal, { pin: true, note });
  await requireBase({ backup, of }).of.verify(backup, signal);
  system.log.info('upgrade.backed-up', `${backup.label} holds the data as it is now; it was read again and is pinned`, {
    label: backup.label,
  });
  return backup.label;
}

async function run(
  options: PostgresqlOptions,
  request: UpgradeRequest,
  backup: string | undefined,
  signal: AbortSignal,
): Promise<UpgradeReport> {
  const { system, config } = options;
  const begunMs = system.clock.monotonicMs();
  const plan = await planUpgrade(options, request, signal);
  requireNone(plan.report.obstacles);
  const postgresql = { ...config.postgresql, binDir: plan.old!.directory };
  const holder = createHolder({ ...options, config: { ...config, postgresql } });
  const report = await holder.borrow(signal, (held) => upgradeHeld(options, plan, { held, request, backup }, signal));
  return { ...report, durationMs: Math.round(system.clock.monotonicMs() - begunMs) };
}

interface Doing {
  readonly held: Hold;
  readonly request: UpgradeRequest;
  readonly backup: string | undefined;
}

async function upgradeHeld(options: PostgresqlOptions, plan: UpgradePlan, doing: Doing, signal: AbortSignal): Promise<UpgradeReport> {
  const { held, request } = doing;
  const { local } = held;
  const { system, volume } = local;
  const { report, facts } = plan;
  system.log.info('upgrade.begun', `asking PostgreSQL ${facts.from} about its data`);
  const old = await onOldServer(held, signal, (socketDir) => askOld(local, socketDir, signal));
  const asked = { ...facts, prepared: old.prepared, closed: old.closed, invalid: old.invalid, template1Objects: old.template1Objects };
  requireNone(obstaclesTo(asked));
  const backup = doing.backup ?? (await backUp(options, report, signal));
  system.reached('upgrade.asked');
  try {
    const made = await makeBeside(options, plan, { held, old, asked }, signal);
    requireWhole(made.missing, request);
    await makeDurable(made.next, signal);
    system.reached('upgrade.checked');
    const because = `an upgrade from PostgreSQL ${facts.from} to ${facts.to} was asked for`;
    const quarantine = await takePlace(held, {
      directory: volume.staged,
      because,
      knownDamage: [],
      systemIdentifier: made.systemIdentifier,
    });
    system.log.info('upgrade.done', `the data is of PostgreSQL ${facts.to} now; the old cluster is whole in ${quarantine}`);
    const { next: _next, systemIdentifier: _old, ...told } = made;
    return { ...report, ...told, warnings: [...report.warnings, ...leftBehind(report, old)], done: true, backup, quarantine };
  } catch (thrown) {
    await rm(volume.staged, { recursive: true, force: true }).catch(() => undefined); // Else the next run removes it.
    throw thrown;
  }
}

type Made = Pick<UpgradeReport, 'settings' | 'missing' | 'transfer' | 'extensions' | 'databases' | 'relations'> & {
  readonly next: Local;
  /** Of the old cluster. */
  readonly systemIdentifier: string;
};

/** The whole new cluster, in the staging folder, checked and shut down. */
async function makeBeside(
  options: PostgresqlOptions,
  { report, facts, new: programs, old: oldPrograms }: UpgradePlan,
  { held, old, asked }: { readonly held: Hold; readonly old: OldCluster; readonly asked: UpgradeFacts },
  signal: AbortSignal,
): Promise<Made> {
  const { local, lock } = held;
  const { system, volume } = local;
  const read = readControl(volume.dataDir);
  if (!('control' in read))
    throw new DbkitError('data.corrupt', `pg_control cannot be used: ${read.problem}`, { hint: 'nothing was changed' });
  const method = report.method!;
  const next: Local = {
    ...local,
    binaries: programs!,
    settings: { ...local.settings, superuser: old.bootstrap, superuserPassword: undefined },
    logFile: join(dirname(local.logFile), 'upgrade.log'),
  };
  system.log.info('upgrade.new-cluster', `making a cluster of PostgreSQL ${programs!.major} beside the data`);
  const settings = await makeNewCluster(next, old, { control: read.control, method }, signal);
  const server = { dataDir: volume.staged, lock, settings: quietBeside, trusts: true, what: `the server of PostgreSQL ${programs!.major}` };
  const unavailableExtensions = await onPrivateServer(next, server, signal, (socketDir) => unavailable(next, socketDir, old, signal));
  requireNone(obstaclesTo({ ...asked, unavailableExtensions }));
  system.reached('upgrade.initialized');
  const clone = method === 'pg_upgrade' && (await canClone(volume.dataDir));
  if (method === 'pg_upgrade' && !clone && report.transfer === 'clone')
    requireNone(obstaclesTo({ ...facts, neededBytes: facts.neededBytes + report.target.sizeBytes }));
  const missing =
    method === 'pg_upgrade'
      ? await upgradeByFiles(held, { old: oldPrograms!, next: programs!, bootstrap: old.bootstrap, clone }, signal).then(() => [])
      : await upgradeByDump(options, { held, next, old, toolsDir: await toolsDir(report) }, signal);
  system.reached('upgrade.converted');
  const finished = await finishNewCluster(next, lock, { old, method }, signal);
  const { systemIdentifier } = read.control;
  return {
    ...finished,
    missing: [...missing, ...finished.missing],
    next,
    systemIdentifier,
    settings,
    transfer: method === 'pg_upgrade' ? (clone ? 'clone' : 'copy') : null,
  };
}

/** The new major's own pg_dump knows both sides best. */
const toolsDir = async ({ from, to }: UpgradeReport): Promise<string> =>
  (await isExecutable(join(to.programs!, 'pg_dump'))) ? to.programs! : from.programs!;

async function makeDurable({ system, volume, binaries, owner }: Local, signal: AbortSignal): Promise<void> {
  if (await syncFileSystem(volume.staged, system, signal)) return;
  const args = ['--sync-only', `--pgdata=${volume.staged}`];
  await system.runner.run({ file: join(binaries.directory, 'initdb'), args, as: owner, timeoutMs: SYNC_TIMEOUT_MS }, signal);
}

const SHOWN = 5;
/** As the list of an archive names them (pg_dump.c). Other rows are counted while they are loaded. */
const rows = /^(table data|blobs?|blob metadata) /;

/** Objects may be left to be mended by hand, where somebody has said so; rows never. Rejects with `recovery.refused`. */
export function requireWhole(missing: UpgradeReport['missing'], { allowMissing }: Pick<UpgradeRequest, 'allowMissing'>): void {
  const withRows = missing.filter(({ what }) => rows.test(what));
  if (withRows.length > 0)
    throw notWhole(
      withRows,
      'these are rows, and none may be left behind: mend or remove them with the old server, or use --method pg_upgrade',
    );
  if (missing.length > 0 && !allowMissing)
    throw notWhole(missing, 'every row would be there; add --allow-missing to go on all the same, and mend these by hand afterwards');
}

function notWhole(missing: UpgradeReport['missing'], next: string): DbkitError {
  const named = missing
    .slice(0, SHOWN)
    .map(({ database, what, because }) => `${database === '' ? '' : `${database}: `}${what} (${because})`);
  const more = missing.length > SHOWN ? ` and ${missing.length - SHOWN} more` : '';
  return new DbkitError('recovery.refused', `these would not come over as they are: ${named.join(', ')}${more}`, {
    hint: `${next}; nothing was changed`,
  });
}

/** Before this major pg_upgrade takes no logical slot along, and leaves subscriptions disabled (release notes of 17). */
const KEEPS_LOGICAL = 17;

/** Pure. What the new cluster does not have, or not as it ran, and that is no part of any database's rows. */
export function leftBehind(
  { method, from }: Pick<UpgradeReport, 'method' | 'from'>,
  { snapshots, slots, subscriptions }: Pick<OldCluster, 'snapshots' | 'slots' | 'subscriptions'>,
): string[] {
  const keepsLogical = method === 'pg_upgrade' && (from.major ?? 0) >= KEEPS_LOGICAL;
  const gone = slots.filter(({ name, type }) => name !== OWN_SLOT && (type === 'physical' || !keepsLogical)); // dbkit makes its own again.
  const named = (list: readonly { readonly name: string }[]): string => list.map(({ name }) => name).join(', ');
  return [
    ...(method === 'dump' && snapshots.length > 0 ? [`${snapshots.length} snapshots stay with the old cluster`] : []),
    ...(gone.length > 0
      ? [`these replication slots are not there any more: ${named(gone)}; standbys and subscribers that used them must be made again`]
      : []),
    ...(method === 'pg_upgrade' && !keepsLogical && subscriptions.length > 0
      ? [`these subscriptions are disabled: ${named(subscriptions)}; ALTER SUBSCRIPTION … ENABLE lets them go on`]
      : []),
  ];
}
