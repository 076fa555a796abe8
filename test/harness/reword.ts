import { tables } from '../../src/cli/reasons.ts';
import { findingCodes } from '../../src/inspection/findings.ts';
import { incidents } from '../../src/recovery/incidents.ts';
import { unknownReasons } from '../../src/recovery/losses.ts';

const reversed = (text: string): string => [...text].reverse().join('');

/** Every sentence of every table becomes its id reversed, hints too: what reads a sentence decides differently from here on. */
export function rewordEverything(): void {
  for (const row of Object.values(tables).flat() as { id: string; words: string; refusal?: { hint: string } }[]) {
    row.words = reversed(row.id);
    if (row.refusal) row.refusal.hint = reversed(`${row.id}-hint`);
  }
  for (const names of [findingCodes, incidents, unknownReasons] as Record<string, string>[])
    for (const id of Object.keys(names)) names[id] = reversed(id);
}
