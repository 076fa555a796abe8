import { checkInTurn } from '../check.ts';
import { exitOf, type HealthReport, isDown } from '../health.ts';

export interface CommitCheck {
  /** 'down': no server is running, and `hooks.whenDown` decides. */
  readonly verdict: 'well' | 'unwell' | 'down';
  readonly whenDown: 'warn' | 'fail' | 'skip';
  readonly exit: number;
  readonly health: HealthReport;
}

/** The check of the pre-commit hook: `hooks.probes`, strict unless told otherwise; a database that nobody has started is no illness. */
export async function checkBeforeCommit(app: Parameters<typeof checkInTurn>[0], signal: AbortSignal): Promise<CommitCheck> {
  const { whenDown, strict, probes } = app.config.hooks;
  const health = await checkInTurn(app, { only: probes.length > 0 ? [...new Set(['connection', ...probes])] : [] }, signal);
  if (isDown(health)) return { verdict: 'down', whenDown, exit: whenDown === 'fail' ? exitOf('critical', { strict }) : 0, health };
  const exit = exitOf(health.status, { strict });
  return { verdict: exit === 0 ? 'well' : 'unwell', whenDown, exit, health };
}
