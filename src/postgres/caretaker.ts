import { access } from 'node:fs/promises';
import type { Caretaker } from '../core/app.ts';
import type { PostgresqlSettings } from '../core/config.ts';
import type { Runner } from '../core/contracts.ts';
import { isAbort } from '../core/errors.ts';
import { configFileElsewhere, debianClusterOf } from './external-configuration.ts';

/** A fast shutdown needs a checkpoint; a server that takes longer than this is hung, and its unit would wait for an hour. */
const STOP_MS = 60_000;

/**
 * Who runs the server where dbkit does not supervise it: the unit that is configured, else that of a cluster of Debian's, else its own
 * pg_ctlcluster where systemd does not run (sd_booted(3)). Undefined: nobody that dbkit knows.
 */
export async function findCaretaker(
  { dataDir, unit }: Pick<PostgresqlSettings, 'dataDir' | 'unit'>,
  runner: Runner,
  booted = '/run/systemd/system',
): Promise<Caretaker | undefined> {
  if (unit !== undefined) return systemd(unit, runner);
  const configFile = await configFileElsewhere(dataDir);
  const cluster = configFile === undefined ? undefined : debianClusterOf(configFile);
  if (cluster === undefined) return undefined;
  const { version, name } = cluster;
  const isBooted = await access(booted).then(
    () => true,
    () => false,
  );
  return isBooted ? systemd(unitOf(version, name), runner) : pgCtlCluster(version, name, runner);
}

const unitOf = (version: string, name: string): string => `postgresql@${version}-${name}.service`;

const systemd = (unit: string, runner: Runner): Caretaker => ({
  name: unit,
  start: ['systemctl', 'start', unit],
  async stop(signal) {
    const tell = (...args: string[]) => runner.run({ file: 'systemctl', args: [...args, unit], timeoutMs: STOP_MS }, signal);
    try {
      await tell('stop');
    } catch (cause) {
      if (isAbort(cause)) throw cause;
      await tell('kill', '--kill-who=main', '--signal=SIGQUIT'); // An immediate shutdown: the next start replays its WAL.
      await tell('stop');
    }
  },
});

/** `--force` goes from fast to immediate by itself (pg_ctlcluster(1)); 2: it was not running. */
const pgCtlCluster = (version: string, name: string, runner: Runner): Caretaker => ({
  name: unitOf(version, name),
  start: ['pg_ctlcluster', version, name, 'start'],
  async stop(signal) {
    await runner.attempt({ file: 'pg_ctlcluster', args: ['--force', version, name, 'stop'], timeoutMs: 2 * STOP_MS }, signal);
  },
});
