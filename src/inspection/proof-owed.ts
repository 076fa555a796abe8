import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { wordsOf } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlainText } from '../machine/plain-file.ts';

const owedSchema = v.object({ schema: v.literal('dbkit.proof-owed/v1'), systemIdentifier: v.string(), since: v.string() });
const pathIn = (dataDir: string): string => join(dataDir, '.dbkit', 'proof-owed.json');

/** After a crash not all pages could be held against the backup and the WAL yet: each start goes on with it, a stop in between notwithstanding. */
export async function isProofOwed(dataDir: string, systemIdentifier: string): Promise<boolean> {
  const text = await readPlainText(pathIn(dataDir)).catch(unlessOwnTrouble);
  if (text === undefined) return false;
  try {
    return v.parse(owedSchema, JSON.parse(text)).systemIdentifier === systemIdentifier;
  } catch {
    return true; // Whoever garbled it, somebody had written it.
  }
}

/** Written before it is tried, as the try may be cut off. Never rejects: where nothing can be written the next start sees the crash itself, or nothing. */
export async function oweProof(
  { dataDir, owner, system }: { readonly dataDir: string; readonly owner: Identity; readonly system: System },
  systemIdentifier: string,
): Promise<void> {
  const owed = { schema: 'dbkit.proof-owed/v1', systemIdentifier, since: system.clock.now().toISOString() };
  await system.files
    .write(pathIn(dataDir), `${JSON.stringify(owed, null, 2)}\n`, { mode: 0o600, owner })
    .catch((cause: unknown) => system.log.warn('proof.unnoted', `that pages are still to be proven could not be noted: ${wordsOf(cause)}`));
}

/** It has been done, or it has been said what nobody can know. */
export const forgetProof = (dataDir: string): Promise<void> => rm(pathIn(dataDir), { force: true });
