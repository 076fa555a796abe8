import { writeFileSync } from 'node:fs';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { asCaller } from '../machine/privileges.ts';
import { newIdentity } from './age.ts';

export interface CreatedKey {
  readonly file: string;
  /** The public key, for `recipients:` of a copy. */
  readonly recipient: string;
}

/**
 * A new identity in a file of whoever asks, which only he may read; its comments are the sheet to print. Rejects with `file.exists`: a key that is
 * overwritten takes every copy with it.
 */
export async function createKey(file: string, now: Date): Promise<CreatedKey> {
  const { identity, recipient } = await newIdentity();
  try {
    asCaller(() => writeFileSync(file, sheet(identity, recipient, now), { flag: 'wx', mode: 0o600, flush: true }));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT')
      throw new DbkitError('usage.invalid', `the folder of ${file} is not there`, { hint: 'make it first; no key was made', cause });
    if (errnoOf(cause) !== 'EEXIST') throw cause;
    throw new DbkitError('file.exists', `${file} exists already`, {
      hint: 'name another file: copies may depend on the key in this one',
      cause,
    });
  }
  return { file, recipient };
}

const sheet = (
  identity: string,
  recipient: string,
  now: Date,
): string => `# RECOVERY SHEET of a PostgreSQL backup, made by dbkit on ${now.toISOString()}
#
# Whoever has the line AGE-SECRET-KEY-... can read the copies. Without it nobody can.
# Print this file, keep it away from the machine, and take the file off the machine that only writes copies.
#
# To restore on a new machine:
#   1. install dbkit and PostgreSQL, and bring dbkit.yaml with its \`copies:\`
#   2. put this file there, readable by you alone
#   3. dbkit backup list --copy NAME
#   4. dbkit backup restore latest --from NAME --identity THIS-FILE
# Without dbkit: docs/REPOSITORY-FORMAT.md has a shell script that needs age and zstd.
#
# public key: ${recipient}
${identity}
`;
