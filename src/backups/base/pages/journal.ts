import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Identity, System } from '../../../kernel/machine.ts';
import { namesIn } from '../../../machine/is-there.ts';
import { packedSchema } from './packed.ts';

const label = v.pipe(v.string(), v.regex(/^data_\d{8}_\d{6}$/));
const journalSchema = v.object({
  schema: v.literal('dbkit.takeover/v1'),
  /** The new backup. */
  label,
  /** Files that it takes over, the number of each in the names of what is kept of it, and the backups that have it. */
  files: v.array(
    v.object({ path: packedSchema.entries.path, number: v.pipe(v.number(), v.integer(), v.minValue(1)), holders: v.array(label) }),
  ),
});

/** A new backup takes files over from earlier ones: written before the first of them is touched, removed when the new one is published. */
export type Journal = v.InferOutput<typeof journalSchema>;

const SUFFIX = '.takeover.json';
const pathOf = (partial: string, of: string): string => join(partial, `${of}${SUFFIX}`);

/** Durable when it resolves. */
export const writeJournal = (
  partial: string,
  journal: Journal,
  { files, owner }: Pick<System, 'files'> & { readonly owner: Identity | undefined },
): Promise<void> => files.write(pathOf(partial, journal.label), `${JSON.stringify(journal)}\n`, { mode: 0o600, owner });

export async function removeJournal(partial: string, of: string, { files }: Pick<System, 'files'>): Promise<void> {
  await rm(pathOf(partial, of), { force: true });
  await files.syncDirectory(partial);
}

/** Those that killed runs have left; what was cut off before its rename is removed. One that cannot be read is set aside: every backup that it names is whole without it. */
export async function journalsIn(partial: string, { files }: Pick<System, 'files'>): Promise<readonly Journal[]> {
  const found: Journal[] = [];
  const names = await namesIn(partial);
  for (const name of names.filter((entry) => entry.includes(`${SUFFIX}.`) && entry.endsWith('.tmp')))
    await rm(join(partial, name), { force: true });
  for (const name of names.filter((entry) => entry.endsWith(SUFFIX))) {
    const journal = await files.readJson(join(partial, name), (value) => v.parse(journalSchema, value));
    if (journal?.label === name.slice(0, -SUFFIX.length)) found.push(journal);
  }
  return found;
}

/** The names in `.pages/` of the file with a number, and of the pages that it had. */
export const nameOfFile = (of: string, number: number): string => `${of}-${number}.file`;
export const nameOfOld = (of: string, number: number): string => `${of}-${number}.old`;
