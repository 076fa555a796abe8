import type { Backups } from '../backups/backup.ts';
import type { ExpireQuarantined } from '../backups/quarantine-retention.ts';
import type { Config } from '../config/config.ts';
import type { Control } from '../control/contract.ts';
import { isDamaged } from '../health/check.ts';
import type { Probed } from '../health/probe.ts';
import type { Instance } from '../instance/contract.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Clock, Logger } from '../kernel/machine.ts';
import type { RecoveryHistory } from '../recovery/history-contract.ts';
import { type Recover, type RecoverRequest, type RecoveryReport, serving } from '../recovery/report.ts';
import type { Upkeep } from '../upkeep/contract.ts';
import { makeRoom } from '../upkeep/make-room.ts';

const replacesData = ({ decision }: RecoveryReport): boolean => decision === 'restore' || decision === 'reinitialize';

/**
 * Plans, asks where data would be replaced, and carries out: through the supervisor when one runs (the container lives on), else on the
 * instance itself. `mayReplace` is asked with the plan. Rejects with `recovery.refused` when the answer is no.
 */
export async function recoverInstance(
  app: {
    readonly config: Config;
    readonly control: Control;
    readonly instance: Instance;
    readonly recover: Recover;
    readonly upkeep: Upkeep;
    readonly expireQuarantined: ExpireQuarantined;
    readonly history: RecoveryHistory;
    readonly backups: readonly Backups[];
    readonly log: Logger;
    readonly clock: Clock;
    readonly services: readonly Probed[];
  },
  request: RecoverRequest,
  mayReplace: (plan: RecoveryReport) => Promise<boolean>,
  signal: AbortSignal,
): Promise<RecoveryReport> {
  const { control, recover, history } = app;
  const run = async (wanted: RecoverRequest): Promise<RecoveryReport> => {
    const answer = await control.ask({ command: 'recover', request: wanted }, signal);
    if (answer !== undefined) return answer as RecoveryReport; // The supervisor has recorded it.
    if (wanted.dryRun) await refuseRemote(app, signal);
    const well = wanted.strategy === undefined ? await runsWell(app, signal) : undefined;
    if (well) return well;
    if (!wanted.dryRun) await makeRoom(app, signal);
    const report = { ...(await recover(wanted, signal)), trigger: 'person' as const };
    if (!wanted.dryRun) await history.record(report);
    return report;
  };
  const plan = await run({ ...request, dryRun: true });
  if (request.dryRun || plan.serving) return plan;
  if (replacesData(plan) && !(await mayReplace(plan))) {
    throw new DbkitError('recovery.refused', 'nothing was changed: the plan was declined', {
      hint: '`dbkit recover --dry-run` shows it again',
    });
  }
  return run(request);
}

/** A server that nobody supervises, but that runs and is well, is left alone. */
async function runsWell(
  app: Pick<Parameters<typeof recoverInstance>[0], 'config' | 'instance' | 'recover' | 'services' | 'clock'>,
  signal: AbortSignal,
): Promise<RecoveryReport | undefined> {
  if ((await app.instance.live(app.config.health.timeoutSeconds * 1000, signal)) === undefined) return undefined;
  const plan = await app.recover({ dryRun: true, strategy: undefined }, signal);
  if (plan.decision !== 'start' || (await isDamaged(app, signal))) return undefined;
  return serving(plan);
}

/** A new instance beside a server whose files are elsewhere would help nobody, and take its place on the socket. */
async function refuseRemote(
  {
    config,
    instance,
  }: {
    readonly config: Config;
    readonly instance: Instance;
    readonly recover: Recover;
    readonly upkeep: Upkeep;
    readonly expireQuarantined: ExpireQuarantined;
  },
  signal: AbortSignal,
): Promise<void> {
  if (!(await instance.isElsewhere())) return;
  const { dataDir, socketDir, port } = config.postgresql;
  const answer = await instance.live(config.health.timeoutSeconds * 1000, signal);
  if (answer === undefined) return;
  throw new DbkitError(
    'recovery.refused',
    `a server answers on port ${port} in ${socketDir}, and its files are not in ${dataDir} here: there is nothing to recover`,
    {
      hint: '`dbkit backup restore dump_… --database NAME` restores a database over the connection; its files are recovered where they are',
    },
  );
}
