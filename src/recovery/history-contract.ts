import type { RecoveryReport } from './report.ts';

/** The reports of recoveries, remembered across boots: `<stateDir>/recoveries/`, the newest hundred. */
export interface RecoveryHistory {
  /** A report with the same `at` takes the earlier one's place, and keeps who had asked for it. */
  record(report: RecoveryReport): Promise<void>; // Never rejects: a server is not kept down for want of a report.
  newest(): Promise<RecoveryReport | undefined>;
  /** Newest first. */
  all(): Promise<readonly RecoveryReport[]>;
}
