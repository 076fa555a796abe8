import type { App } from '../core/app.ts';
import type { RetentionDecision } from '../core/backups.ts';

export interface QuarantineDecision extends RetentionDecision {
  readonly path: string;
}

/** Retention for what was set aside; never what the last recovery's report still points to. */
export async function expireQuarantine(
  { instance, history }: Pick<App, 'instance' | 'history'>,
  { dryRun }: { dryRun: boolean },
  signal: AbortSignal,
): Promise<readonly QuarantineDecision[]> {
  const path = (await history.newest())?.quarantine;
  return instance.expireQuarantine({ dryRun, reported: new Set(path ? [path] : []) }, signal);
}
