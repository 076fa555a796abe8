import { expect, test } from 'vitest';
import { fill } from '../../src/kernel/reasons.ts';

/**
 * Every row of a decision table is reached by a case of its own, given under its id: a row without one does not compile, and one that an
 * earlier row hides fails. Ids are kebab-case, and the words are for people: lower case first, no full stop, every fact in its place.
 */
export function everyRow<Id extends string, Facts extends object | string>(
  table: string,
  decide: (facts: Facts) => { readonly id: Id; readonly words: string },
  cases: Readonly<Record<Id, Facts>>,
): void {
  test.each(Object.entries<Facts>(cases))(`${table}: %s`, (id, facts) => {
    const { id: decided, words } = decide(facts);
    const sentence = typeof facts === 'object' ? fill(words, { ...facts }) : words;
    expect(decided).toBe(id);
    expect(id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
    expect(sentence).not.toMatch(/\.$|^\s|^[A-Z][a-z]+ |\{\w+\}/);
  });
}
