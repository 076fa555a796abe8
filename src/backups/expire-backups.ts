import type { Backups, RetentionDecision } from './backup.ts';
import { expireQuarantine, type QuarantineDecision, type Reported } from './expire-quarantine.ts';
import type { ExpireQuarantined } from './quarantine-retention.ts';

export interface ExpireReport {
  readonly decisions: readonly RetentionDecision[];
  /** Replaced and damaged data that was set aside. */
  readonly quarantine: readonly QuarantineDecision[];
}

/** Which backups and which quarantined data stay and which go, each with its reason; unless `dryRun`, those that go are removed. */
export async function expireBackups(
  app: { readonly backups: readonly Backups[]; readonly expireQuarantined: ExpireQuarantined; readonly history: Reported },
  { dryRun }: { dryRun: boolean },
  signal: AbortSignal,
): Promise<ExpireReport> {
  const decisions: RetentionDecision[] = [];
  for (const { repository } of app.backups) decisions.push(...(await repository.expire({ dryRun }, signal))); // They share a repository, and its lock.
  return { decisions, quarantine: await expireQuarantine(app, { dryRun }, signal) };
}
