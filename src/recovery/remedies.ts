import { decide } from '../kernel/reasons.ts';
import { inPlace } from './remedies-in-place.ts';
import { circumstances } from './remedies-of-circumstances.ts';
import { damage } from './remedies-of-damage.ts';
import { ofWal } from './remedies-of-wal.ts';
import type { Case, Remedy } from './remedy.ts';

/**
 * First match wins. Repairs are carried out in this order too: permissions first, then files, then what needs a server that can start.
 */
const rows = [...circumstances, ...ofWal, ...inPlace, ...damage] as const satisfies readonly Remedy[];

export type RemedyId = (typeof rows)[number]['id'];
export const remedies: readonly (Remedy & { readonly id: RemedyId })[] = rows;

const matching = remedies.map(({ id, findings, when }) => ({
  id,
  when: (c: Case): boolean => (findings === 'any' || findings.includes(c.finding.code)) && when(c),
}));
const byId = new Map(remedies.map((remedy) => [remedy.id, remedy]));

/** The remedy for one finding: the row of the table. */
export const remedyFor = (c: Case): Remedy & { readonly id: RemedyId } => byId.get(decide(matching, c).id)!;
