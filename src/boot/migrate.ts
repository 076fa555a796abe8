import type { Config } from '../config/config.ts';
import { awaitedDump, replacedBefore } from '../instance/initialize/marker.ts';
import type { Local } from '../instance/local.ts';
import { withPassfile } from '../instance/passfile.ts';
import { wordsOf } from '../kernel/errors.ts';
import { incident } from '../recovery/incidents.ts';
import { nothing, told } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';

const TIMEOUT_MS = 3_600_000;

/**
 * Runs the configured migration in a new cluster that took the place of another one, before it is ready: as the server's user, with libpq's own
 * environment of the application's role. That it fails is told, and keeps nobody out. Undefined at a first boot, or where none is configured.
 */
export async function migrate(
  local: Local,
  { migrate: command }: Config['recovery'],
  signal: AbortSignal,
): Promise<RecoveryReport | undefined> {
  const { settings, system, owner, volume } = local;
  const [file, ...args] = command ?? [];
  const isReset = (await replacedBefore(volume, system)) !== null || (await awaitedDump(volume, system)) !== undefined;
  if (file === undefined || !isReset) return undefined;
  const begunMs = system.clock.monotonicMs();
  system.log.info('recovery.migrate', `running the migration: ${file}`, { file });
  const env = {
    ...system.childEnvironment,
    PGHOST: settings.socketDir,
    PGPORT: String(settings.port),
    PGUSER: settings.username,
    PGDATABASE: settings.database ?? settings.username,
  };
  const problem = await withPassfile(settings.password.reveal(), { system, owner }, (passfile) =>
    system.runner.run({ file, args, env: { ...env, ...passfile }, as: owner, timeoutMs: TIMEOUT_MS }, signal),
  ).then(
    () => undefined,
    (cause: unknown) => {
      signal.throwIfAborted();
      return wordsOf(cause);
    },
  );
  if (problem !== undefined)
    system.log.error('recovery.unmigrated', `the migration failed: ${problem}; run it by hand, the server serves without it`, { file });
  const why = problem === undefined ? incident('migrated') : incident('migration-failed', { why: problem });
  return {
    at: system.clock.now().toISOString(),
    findings: [],
    decision: 'initialize',
    ...why,
    steps: [{ step: 'migrate', ...why, done: problem === undefined }],
    quarantine: null,
    ...told(nothing),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}
