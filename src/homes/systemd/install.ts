import { dirname, join } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { Origin } from '../../config/origin.ts';
import { wantsWal } from '../../config/wal-settings.ts';
import type { Instance } from '../../instance/contract.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Systemd } from '../../machine/systemd-contract.ts';
import { renderEnvironment, unitEnvironment } from './environment.ts';
import { MARK, OWN_SERVER_UNIT, renderUnits, toEnable, UNIT_DIR, type UnitFile, type UnitPlan, unitNames } from './units.ts';

type PlanNeeds = { readonly config: Config; readonly instance: Instance; readonly systemd: Systemd };
type Needs = PlanNeeds & { readonly origins: ReadonlyMap<string, Origin>; readonly prepareFolders: (signal: AbortSignal) => Promise<void> };

/** The choices of a call. */
export interface UnitWishes {
  readonly program: readonly string[];
  readonly unitDir: string;
  readonly environmentFile: string;
  readonly backupAt: string;
  readonly verifyAt: string;
  readonly drill: UnitPlan['drill'];
}

export interface UnitsReport {
  readonly user: string;
  readonly serverUnit: string;
  readonly files: readonly { readonly path: string; readonly did: 'written' | 'unchanged' | 'kept' | 'removed' }[];
  /** The units that run; empty where systemd does not. */
  readonly enabled: readonly string[];
}

/** The units as they would be written, with the environment that they would get, secrets left out. */
export async function printUnits(app: PlanNeeds, wishes: UnitWishes): Promise<readonly UnitFile[]> {
  return renderUnits(await planUnits(app, wishes));
}

/**
 * Writes the units, the environment file where there is none, and the folders that they write to; enables and starts the timers where systemd
 * runs. Again is an update. Rejects with `file.exists` for a unit of that name that is not dbkit's, before anything is written.
 */
export async function installUnits(app: Needs, wishes: UnitWishes, signal: AbortSignal): Promise<UnitsReport> {
  const { systemd, config, origins } = app;
  const plan = await planUnits(app, wishes);
  const units = renderUnits(plan).map(({ name, text }) => ({ path: join(wishes.unitDir, name), text }));
  const before = new Map<string, string | undefined>();
  for (const { path } of units) before.set(path, await ours(systemd, path));
  await app.prepareFolders(signal);
  const files: UnitsReport['files'][number][] = [];
  for (const { path, text } of units) {
    const did = before.get(path) === text ? 'unchanged' : 'written';
    if (did === 'written') await systemd.write(path, text, 0o644);
    files.push({ path, did });
  }
  const hasEnvironment = (await systemd.read(wishes.environmentFile)) !== undefined;
  if (!hasEnvironment) await systemd.write(wishes.environmentFile, renderEnvironment(unitEnvironment(config, origins)), 0o600);
  files.push({ path: wishes.environmentFile, did: hasEnvironment ? 'kept' : 'written' });
  const enabled = (await obeys(systemd, wishes.unitDir)) ? toEnable(plan) : [];
  if (enabled.length > 0) {
    await systemd.control(['daemon-reload'], signal);
    await systemd.control(['enable', ...enabled], signal);
    await systemd.control(['restart', ...enabled.filter((name) => name !== OWN_SERVER_UNIT)], signal); // A changed timer counts anew.
    if (enabled.includes(OWN_SERVER_UNIT)) await systemd.control(['start', '--no-block', OWN_SERVER_UNIT], signal);
  }
  return { user: plan.user, serverUnit: plan.serverUnit, files, enabled };
}

/** Takes dbkit's units away, which stops a server that dbkit's own unit runs; data, backups and the environment file stay. */
export async function uninstallUnits(
  { systemd }: { readonly systemd: Systemd },
  unitDir: string,
  signal: AbortSignal,
): Promise<UnitsReport['files']> {
  const found: string[] = [];
  for (const name of unitNames) if ((await systemd.read(join(unitDir, name)))?.startsWith(MARK)) found.push(name);
  const isHeard = await obeys(systemd, unitDir);
  const stops = found.filter((name) => name !== OWN_SERVER_UNIT);
  if (isHeard && stops.length > 0) await systemd.control(['disable', '--now', ...stops], signal);
  if (isHeard && found.includes(OWN_SERVER_UNIT)) await systemd.control(['disable', '--now', OWN_SERVER_UNIT], signal);
  for (const name of found) await systemd.remove(join(unitDir, name));
  if (isHeard && found.length > 0) await systemd.control(['daemon-reload'], signal);
  return found.map((name) => ({ path: join(unitDir, name), did: 'removed' }));
}

/** systemd runs, and these are the units that it knows. */
const obeys = async (systemd: Systemd, unitDir: string): Promise<boolean> => unitDir === UNIT_DIR && (await systemd.isBooted());

async function planUnits({ config, instance, systemd }: PlanNeeds, wishes: UnitWishes): Promise<UnitPlan> {
  const { postgresql, stateDir, backupDir, logDir, monitor, alerts, stopSeconds } = config;
  const { name: user } = await instance.owner();
  const diaries = Object.values(alerts.channels).flatMap((channel) => (channel.type === 'file' ? [dirname(channel.path)] : []));
  const { environmentFile, backupAt, verifyAt, drill } = wishes;
  const program = await Promise.all(wishes.program.map(systemd.realPath)); // A shell may have found a version manager's link of this session.
  return {
    program,
    environmentFile,
    backupAt,
    verifyAt,
    drill,
    user,
    serverUnit: (await instance.caretaker())?.name ?? OWN_SERVER_UNIT,
    socketDir: postgresql.socketDir,
    notes: [stateDir, ...diaries],
    writable: [postgresql.dataDir, backupDir, logDir, postgresql.socketDir],
    intervalSeconds: monitor.intervalSeconds,
    stopSeconds,
    receivesWal: wantsWal(config) ?? false,
  };
}

/** The unit at `path` as dbkit wrote it; undefined when there is none. */
async function ours(systemd: Systemd, path: string): Promise<string | undefined> {
  const text = await systemd.read(path);
  if (text === undefined || text.startsWith(MARK)) return text;
  throw new DbkitError('file.exists', `${path} is there and is not dbkit's`, { hint: 'move it away and try again; nothing was changed' });
}
