import type { PostgresqlSettings } from '../config/config.ts';
import { isAbort } from '../kernel/errors.ts';
import type { Runner } from '../kernel/machine.ts';
import { isReachable } from '../machine/is-there.ts';
import type { Caretaker } from './caretaker-contract.ts';
import { configFileElsewhere, type DebianCluster, debianClusterOf } from './external-configuration.ts';

/** A fast shutdown needs a checkpoint; a server that takes longer than this is hung, and its unit would wait for an hour. */
const STOP_MS = 60_000;

interface Runs {
  readonly unit: string;
  readonly start: readonly string[];
  /** Undefined where systemd runs it. */
  readonly cluster?: DebianCluster;
}
type Settings = Pick<PostgresqlSettings, 'dataDir' | 'unit'>;

/** The unit that is configured, else that of a cluster of Debian's, else its own pg_ctlcluster where systemd does not run (sd_booted(3)). */
async function whoRuns({ dataDir, unit }: Settings, booted = '/run/systemd/system'): Promise<Runs | undefined> {
  const systemd = (name: string): Runs => ({ unit: name, start: ['systemctl', 'start', name] });
  if (unit !== undefined) return systemd(unit);
  const configFile = await configFileElsewhere(dataDir);
  const cluster = configFile === undefined ? undefined : debianClusterOf(configFile);
  if (cluster === undefined) return undefined;
  const own = `postgresql@${cluster.version}-${cluster.name}.service`;
  const isBooted = await isReachable(booted);
  return isBooted ? systemd(own) : { unit: own, cluster, start: ['pg_ctlcluster', cluster.version, cluster.name, 'start'] };
}

/** The command that starts the server: `systemctl start …` where a unit runs it. */
export async function startWords(settings: Settings): Promise<string> {
  const { start } = (await whoRuns(settings)) ?? { start: ['dbkit', 'up', '--detach'] };
  return start.join(' ');
}

/** The caretaker of the server where dbkit does not supervise it. Undefined: nobody that dbkit knows. */
export async function findCaretaker(settings: Settings, runner: Runner, booted?: string): Promise<Caretaker | undefined> {
  const runs = await whoRuns(settings, booted);
  if (runs === undefined) return undefined;
  const { unit: name, start, cluster } = runs;
  return { name, start, stop: cluster ? stopCluster(cluster, runner) : stopUnit(name, runner) };
}

const stopUnit =
  (unit: string, runner: Runner): Caretaker['stop'] =>
  async (signal) => {
    const tell = (...args: string[]) => runner.run({ file: 'systemctl', args: [...args, unit], as: 'caller', timeoutMs: STOP_MS }, signal);
    try {
      await tell('stop');
    } catch (cause) {
      if (isAbort(cause)) throw cause;
      await tell('kill', '--kill-who=main', '--signal=SIGQUIT'); // An immediate shutdown: the next start replays its WAL.
      await tell('stop');
    }
  };

/** `--force` goes from fast to immediate by itself (pg_ctlcluster(1)); 2: it was not running. */
const stopCluster =
  ({ version, name }: DebianCluster, runner: Runner): Caretaker['stop'] =>
  async (signal) => {
    await runner.attempt({ file: 'pg_ctlcluster', args: ['--force', version, name, 'stop'], as: 'caller', timeoutMs: 2 * STOP_MS }, signal);
  };
