import { DbkitError } from '../kernel/errors.ts';
import type { Refusal } from '../kernel/reasons.ts';

interface RefusedVerb {
  readonly id: string;
  readonly words: string;
  readonly refusal: Refusal;
}

/** Everything that dbkit can do with its own backups and not with those of pgBackRest: what is asked for, why not, and what to type instead. */
export const refusedVerbs = [
  {
    id: 'pgbackrest-has-no-timeline',
    words: '`dbkit timeline` reads the WAL in dbkit’s own archive, and pgBackRest keeps it here',
    refusal: { code: 'usage.invalid', hint: '`dbkit backup find --to TIME` says which backup serves a moment' },
  },
  {
    id: 'pgbackrest-finds-no-statement',
    words: 'a statement is looked for in the WAL in dbkit’s own archive, and pgBackRest keeps it here',
    refusal: { code: 'usage.invalid', hint: 'name the moment instead: --to TIME, --to-lsn LSN or --to-xid NUMBER; nothing was changed' },
  },
  {
    id: 'pgbackrest-verifies-all-there-is',
    words: 'pgBackRest compares every stored byte of its repository and looks no deeper',
    refusal: { code: 'usage.invalid', hint: 'leave --deep out; `dbkit drill` starts a backup and lets pg_amcheck read it' },
  },
  {
    id: 'pgbackrest-has-no-rate-limit',
    words: 'pgBackRest has no limit for what it reads in a second',
    refusal: { code: 'usage.invalid', hint: 'leave --rate-limit out; --low-priority lets everybody else go first' },
  },
  {
    id: 'pgbackrest-needs-a-server',
    words: 'pgBackRest backs up a running server, and none runs here',
    refusal: { code: 'service.unready', hint: 'start it, or take a plain copy of the files: `dbkit backup create --engine copy`' },
  },
  {
    id: 'pgbackrest-is-its-own-copy',
    words: 'a backup of pgBackRest is in its own repository, and is not copied elsewhere by dbkit',
    refusal: {
      code: 'usage.invalid',
      hint: 'let the repository be a bucket (pgbackrest.repository), or copy a dump: `dbkit backup create --engine dump`',
    },
  },
  {
    id: 'pgbackrest-keeps-the-wal',
    words: '`dbkit wal receive` keeps WAL in dbkit’s own archive, and pgBackRest keeps it here',
    refusal: {
      code: 'usage.invalid',
      hint: 'set archive_command to `pgbackrest … archive-push %p`; `dbkit backup create` says it in full',
    },
  },
  {
    id: 'pgbackrest-leaves-tablespaces',
    words: 'pgBackRest would restore tablespaces to where the server has its own now',
    refusal: { code: 'recovery.refused', hint: 'restore it with `pgbackrest restore --tablespace-map-all`; nothing was changed' },
  },
] as const satisfies readonly RefusedVerb[];

export type RefusedId = (typeof refusedVerbs)[number]['id'];

/** The failure that a row is. */
export function refuse(id: RefusedId): DbkitError {
  const { words, refusal } = refusedVerbs.find((row) => row.id === id)!;
  return new DbkitError(refusal.code, words, { hint: refusal.hint });
}
