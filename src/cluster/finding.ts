/** How bad: from critical on the service is down, at risk, or nobody can take over. */
export type Severity = 'critical' | 'warning';

/** One row of a table whose every row that matches is a finding. */
export interface Finds<Facts extends readonly unknown[]> {
  readonly id: string;
  readonly when: (...facts: Facts) => boolean;
  readonly then: Severity;
  readonly words: string;
  /** The next step of a person, in one sentence. */
  readonly next: string;
}

/** Something that is wrong with a cluster, or with one of its members. */
export interface ClusterFinding {
  readonly id: string;
  readonly severity: Severity;
  readonly member: string | null;
  readonly words: string;
  readonly next: string;
}
