import { expect, test } from 'vitest';

/**
 * Every row of a decision table is reached by a case of its own, given under its id: a row without one does not compile, and one that an
 * earlier row hides fails. Ids are kebab-case, and the words are for people: lower case first, no full stop, every fact in its place.
 */
export function everyRow<Id extends string, Facts>(
  table: string,
  decide: (facts: Facts) => { readonly id: Id; readonly words: string },
  cases: Readonly<Record<Id, Facts>>,
): void {
  test.each(Object.entries<Facts>(cases))(`${table}: %s`, (id, facts) => {
    const { id: decided, words } = decide(facts);
    expect(decided).toBe(id);
    expect(id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
    expect(words).not.toMatch(/\.$|^\s|^[A-Z][a-z]+ |\{\w+\}/);
  });
}
