import type { RetentionDecision } from './backup.ts';
import type { ExpireQuarantined } from './quarantine-retention.ts';

export interface QuarantineDecision extends RetentionDecision {
  readonly path: string;
}

/** The newest recovery, as far as retention must know it: what its report points to stays. */
export interface Reported {
  newest(): Promise<{ readonly quarantine: string | null } | undefined>;
}

/** Retention for what was set aside; never what the last recovery's report still points to. */
export async function expireQuarantine(
  { expireQuarantined, history }: { readonly expireQuarantined: ExpireQuarantined; readonly history: Reported },
  { dryRun }: { dryRun: boolean },
  signal: AbortSignal,
): Promise<readonly QuarantineDecision[]> {
  const path = (await history.newest())?.quarantine;
  return expireQuarantined({ dryRun, reported: new Set(path ? [path] : []) }, signal);
}
