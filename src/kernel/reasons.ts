import { DbkitError, type FailureCode } from './errors.ts';

/**
 * One row of a decision table: first match wins. The id is a contract (`--json`, `dbkit explain ID`, docs/REASONS.md); nothing reads the words
 * but people.
 */
export interface Row<Facts, Then> {
  readonly id: string;
  readonly when: (facts: Facts) => boolean;
  readonly then: Then;
  /** Why, in lower case without a full stop. `{name}` stands for a fact. */
  readonly words: string;
}

/** Which failure a refusal is, and what a person does next: one sentence. */
export interface Refusal {
  readonly code: FailureCode;
  readonly hint: string;
}

/** The first row that matches; a table that can decide everything ends with a row that always does. */
export function decide<Facts, Decided extends Pick<Row<Facts, unknown>, 'id' | 'when'>>(rows: readonly Decided[], facts: Facts): Decided {
  const row = rows.find(({ when }) => when(facts));
  if (row === undefined) throw new DbkitError('internal.bug', `no row of ${rows[0]?.id ?? 'an empty table'} and its like matches`);
  return row;
}

/** Words with their facts in place. */
export const fill = (words: string, facts: Readonly<Record<string, unknown>>): string =>
  words.replace(/\{(\w+)\}/g, (place, name: string) => (name in facts ? String(facts[name]) : place));
