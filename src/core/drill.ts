import type { DrillCheck, DrillReport } from './copies.ts';

/** Whether a drill proves its backup: everything that was tried has passed. */
export const isProof = (checks: readonly DrillCheck[]): boolean => checks.every(({ outcome }) => outcome !== 'failed');

/** What a failed drill says of the backup itself: a person's own assertion may fail on a perfect one. */
export const damages = ({ checks }: Pick<DrillReport, 'checks'>): DrillCheck | undefined =>
  checks.find(({ name, outcome }) => outcome === 'failed' && !name.startsWith('assertion'));
