import { DbkitError } from '../kernel/errors.ts';
import type { RecoveryHistory } from './history-contract.ts';
import type { RecoveryReport } from './report.ts';

export interface HistoryReport {
  /** Newest first: number 1 is the last one. */
  readonly recoveries: readonly (RecoveryReport & { readonly number: number })[];
}

/** The reports of recoveries to this instance, the newest hundred. */
export async function listRecoveries({ history }: { readonly history: RecoveryHistory }): Promise<HistoryReport> {
  return { recoveries: (await history.all()).map((report, index) => ({ number: index + 1, ...report })) };
}

/** One of them; 1 is the last. Rejects with `usage.invalid` when there is no such number. */
export async function showRecovery({ history }: { readonly history: RecoveryHistory }, number: number): Promise<RecoveryReport> {
  const reports = await history.all();
  const report = reports[number - 1];
  if (report) return report;
  const there = reports.length === 0 ? 'nothing had to be recovered here yet' : `there are ${reports.length}, 1 is the last`;
  throw new DbkitError('usage.invalid', `there is no recovery ${number}: ${there}`, { hint: '`dbkit recover history` lists them' });
}
