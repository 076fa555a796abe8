import { unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as v from 'valibot';
import { knownDamageSchema } from '../inspection/known-damage.ts';
import type { Volume } from '../instance/volume.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { readPlainText } from '../machine/plain-file.ts';

/**
 * The work that is under way while the content of PGDATA is replaced: written before the first rename and removed after the last, so whoever comes next
 * finishes the work. It exists only once the new cluster is complete, or when none follows.
 */
const damageSchema = v.object({ systemIdentifier: v.string(), entries: v.array(knownDamageSchema) });
const journalSchema = v.strictObject({
  schema: v.literal('dbkit.journal/v1'),
  /** Where today's entries go; null when PGDATA is empty. */
  quarantine: v.nullable(v.string()),
  /** True if a new cluster follows, and from where: `incoming` where nothing is said. */
  publishes: v.boolean(),
  from: v.optional(v.string()),
  /** The names of the new cluster's entries: a folder that was cleaned away in part is not published. */
  entries: v.optional(v.array(v.string())),
  phase: v.picklist(['set-aside', 'publish']),
  because: v.string(),
  /** Damage of the data that is set aside: it is remembered beside it. */
  damage: v.optional(damageSchema),
  /** The damage that is known of the new cluster: it is remembered before the work is over. Undefined: nothing is known of it. */
  brings: v.optional(damageSchema),
  startedAt: v.string(),
});
export type Journal = v.InferOutput<typeof journalSchema>;

export async function writeJournal(volume: Volume, owner: Identity, journal: Journal, { files }: System): Promise<void> {
  await files.write(volume.journal, `${JSON.stringify(journal, null, 2)}\n`, { mode: 0o600, owner });
}

/** 'none': there is no journal; 'broken': there is one that cannot be read, and it stays where it is. Throws what the disk says otherwise. */
export async function readJournal({ journal }: Volume): Promise<Journal | 'none' | 'broken'> {
  const text = await readPlainText(journal).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ENOTDIR') return undefined;
    if (errnoOf(cause) === 'EISDIR') return ''; // No journal either, but something is there.
    throw cause;
  });
  if (text === undefined) return 'none';
  try {
    return v.parse(journalSchema, JSON.parse(text));
  } catch {
    return 'broken';
  }
}

export async function removeJournal({ journal }: Volume, { files }: System): Promise<void> {
  await unlink(journal);
  await files.syncDirectory(dirname(journal));
}
