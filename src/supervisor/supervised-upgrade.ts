import type { Config } from '../config/config.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { UpgradeReport, UpgradeRequest } from '../upgrade/contract.ts';
import { requireNone } from '../upgrade/refuse.ts';
import type { Unit } from './unit.ts';

/**
 * Takes the data of a supervised service to a newer major: stopped, upgraded, started again, whatever came of it and whoever is gone. `signals.work`
 * may end it as long as nothing has changed. Rejects with `service.unready` when the server does not start afterwards.
 */
export async function upgradeUnit(
  { config }: { readonly config: Config },
  unit: Unit,
  {
    request,
    backup,
    done,
  }: { readonly request: UpgradeRequest; readonly backup: string | undefined; done(report: UpgradeReport): Promise<void> },
  signals: { readonly work: AbortSignal; readonly start: AbortSignal },
): Promise<UpgradeReport> {
  const upgrader = unit.service.upgrader!;
  requireNone((await upgrader.plan(request, signals.work)).obstacles); // With the programs that this process finds, while the server still serves.
  signals.work.throwIfAborted();
  await unit.stop(config.stopSeconds * 1000, signals.start);
  const report = await upgrader.run(request, backup, signals.work).catch(async (cause: unknown) => {
    await unit.start(signals.start); // The old data is in its place.
    if (unit.state() === 'ready') throw cause;
    throw new DbkitError(
      'service.unready',
      `the upgrade failed (${wordsOf(cause)}), and the server does not start again: ${whyNot(unit)}`,
      {
        hint: 'the data is in its place as it was; `dbkit status` shows what keeps the server down',
        cause,
      },
    );
  });
  await done(report); // Now: should the start fail, the history knows what was replaced.
  await unit.start(signals.start);
  if (unit.state() === 'ready') return report;
  throw new DbkitError(
    'service.unready',
    `the data is of PostgreSQL ${report.to.major} now, but the server does not start: ${whyNot(unit)}`,
    {
      hint: '`dbkit backup undo` brings the old cluster back, for the old programs',
      changed: true,
    },
  );
}

const whyNot = (unit: Unit): string => unit.status().failure?.message ?? unit.state();
