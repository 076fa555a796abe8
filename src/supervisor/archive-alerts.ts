import type { Alert } from '../alerts/alert.ts';
import type { Alerter } from '../alerts/contract.ts';
import { type Backups, isGood } from '../backups/backup.ts';
import type { Config } from '../config/config.ts';
import { levelsWithin } from '../config/tiers.ts';
import type { Clock, Files } from '../kernel/machine.ts';
import { readKeeping, type WalGap } from '../wal/keeping.ts';
import { archiveAlert } from './archive-trouble.ts';

interface Needs {
  readonly config: Config;
  readonly backups: readonly Backups[];
  readonly alerts: Pick<Alerter, 'channels' | 'tell'>;
  readonly files: Pick<Files, 'readJson'>;
  readonly clock: Clock;
}

const LOOK_EVERY_MS = 2_000;
/** Listing a repository costs more than reading one file. */
const LIST_EVERY_MS = 60_000;

/**
 * Tells of a gap in the WAL, and of an archive that cannot be written, without waiting for the monitor's next check, and of the end of either. Until
 * `signal` fires; never rejects. What was told already is known by the alerter.
 */
export async function tellOfArchive(app: Needs, signal: AbortSignal): Promise<void> {
  const { config, alerts, clock } = app;
  if (alerts.channels.length === 0) return;
  const limitSeconds = levelsWithin(config.health.archiveDelay, config.tier).warning;
  let last: Alert | undefined;
  const closing = createClosing(app);
  while (!signal.aborted) {
    const alert = await look(app, closing, limitSeconds, signal).catch(() => undefined); // A state that cannot be read says nothing.
    if (alert !== undefined && !isSame(alert, last)) {
      last = alert;
      await alerts.tell(alert, signal);
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
  }
}

const isSame = (alert: Alert, last: Alert | undefined): boolean => last?.title === alert.title && last.resolves === alert.resolves;

/** When the newest good base backup was taken, as far as it matters for the newest gap. */
type Closing = (gap: WalGap | undefined, signal: AbortSignal) => Promise<string | null>;

/** Gaps stay in the archive's state: a closed one asks nothing any more, an open one now and then, a new one at once. */
function createClosing({ backups, clock }: Pick<Needs, 'backups' | 'clock'>): Closing {
  let [gapAt, listedMs, backupAt]: [string, number, string | null] = ['', 0, null];
  return async (gap, signal) => {
    if (gap === undefined || (backupAt !== null && gap.at <= backupAt)) return backupAt;
    if (gap.at === gapAt && clock.monotonicMs() - listedMs < LIST_EVERY_MS) return backupAt;
    backupAt = await newestGood(backups, signal);
    [gapAt, listedMs] = [gap.at, clock.monotonicMs()];
    return backupAt;
  };
}

async function look(
  { config, files, clock }: Pick<Needs, 'config' | 'files' | 'clock'>,
  closing: Closing,
  limitSeconds: number,
  signal: AbortSignal,
): Promise<Alert | undefined> {
  const keeping = await readKeeping(config.stateDir, files);
  const backupAt = await closing(keeping?.gaps.at(-1), signal);
  return archiveAlert({ keeping, backupAt, limitSeconds, nowMs: clock.now().getTime() });
}

async function newestGood(backups: readonly Backups[], signal: AbortSignal): Promise<string | null> {
  const base = backups.find(({ kind }) => kind === 'physical');
  const good = ((await base?.repository.list(signal)) ?? []).filter(isGood).map(({ createdAt }) => createdAt);
  return good.sort().at(-1) ?? null;
}
