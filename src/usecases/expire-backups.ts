import type { App } from '../core/app.ts';
import type { RetentionDecision } from '../core/backups.ts';

/** Which backups stay and which go, each with its reason; unless `dryRun`, those that go are removed. */
export async function expireBackups(
  { engines }: Pick<App, 'engines'>,
  { dryRun }: { dryRun: boolean },
  signal: AbortSignal,
): Promise<{ readonly decisions: readonly RetentionDecision[] }> {
  const decisions = await Promise.all(engines.map((engine) => engine.expire?.({ dryRun }, signal) ?? []));
  return { decisions: decisions.flat() };
}
