import type { Alert } from '../alerts/alert.ts';
import type { Alerter } from '../alerts/contract.ts';
import { type Backups, isGood } from '../backups/backup.ts';
import type { Config } from '../config/config.ts';
import { levelsWithin } from '../config/tiers.ts';
import type { Clock, Files } from '../kernel/machine.ts';
import { readKeeping } from '../wal/keeping.ts';
import { archiveAlert } from './archive-trouble.ts';

interface Needs {
  readonly config: Config;
  readonly backups: readonly Backups[];
  readonly alerts: Pick<Alerter, 'channels' | 'tell'>;
  readonly files: Pick<Files, 'readJson'>;
  readonly clock: Clock;
}

const LOOK_EVERY_MS = 2_000;

/**
 * Tells of a gap in the WAL, and of an archive that cannot be written, without waiting for the monitor's next check, and of the end of either. Until
 * `signal` fires; never rejects. What was told already is known by the alerter.
 */
export async function tellOfArchive(app: Needs, signal: AbortSignal): Promise<void> {
  const { config, alerts, clock } = app;
  if (alerts.channels.length === 0) return;
  const limitSeconds = levelsWithin(config.health.archiveDelay, config.tier).warning;
  let last: Alert | undefined;
  while (!signal.aborted) {
    const alert = await look(app, limitSeconds, signal).catch(() => undefined); // A state that cannot be read says nothing.
    if (alert !== undefined && !isSame(alert, last)) {
      last = alert;
      await alerts.tell(alert, signal);
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
  }
}

const isSame = (alert: Alert, last: Alert | undefined): boolean => last?.title === alert.title && last.resolves === alert.resolves;

async function look({ config, backups, files, clock }: Needs, limitSeconds: number, signal: AbortSignal): Promise<Alert | undefined> {
  const keeping = await readKeeping(config.stateDir, files);
  const hasGaps = keeping !== undefined && keeping.gaps.length > 0;
  const backupAt = hasGaps ? await newestGood(backups, signal) : null;
  return archiveAlert({ keeping, backupAt, limitSeconds, nowMs: clock.now().getTime() });
}

async function newestGood(backups: readonly Backups[], signal: AbortSignal): Promise<string | null> {
  const base = backups.find(({ kind }) => kind === 'physical');
  const good = ((await base?.repository.list(signal)) ?? []).filter(isGood).map(({ createdAt }) => createdAt);
  return good.sort().at(-1) ?? null;
}
