import * as v from 'valibot';
import type { Local } from '../instance/local.ts';
import { noteBeside } from '../instance/note-beside.ts';
import { wordsOf } from '../kernel/errors.ts';

const note = noteBeside('proof-owed', { systemIdentifier: v.string(), since: v.string() });

/** After a crash not all pages could be held against the backup and the WAL yet: each start goes on with it, a stop in between notwithstanding. */
export async function isProofOwed(dataDir: string, systemIdentifier: string): Promise<boolean> {
  const owed = await note.read(dataDir);
  return owed === 'garbled' || owed?.systemIdentifier === systemIdentifier; // Whoever garbled it, somebody had written it.
}

/** Written before it is tried, as the try may be cut off. Never rejects: where nothing can be written the next start sees the crash itself, or nothing. */
export const oweProof = (local: Pick<Local, 'volume' | 'owner' | 'system'>, systemIdentifier: string): Promise<void> =>
  note
    .write(local, { systemIdentifier, since: local.system.clock.now().toISOString() })
    .catch((cause: unknown) =>
      local.system.log.warn('proof.unnoted', `that pages are still to be proven could not be noted: ${wordsOf(cause)}`),
    );

/** It has been done, or it has been said what nobody can know. */
export const forgetProof = note.forget;
