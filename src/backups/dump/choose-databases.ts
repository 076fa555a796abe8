import { DbkitError } from '../../kernel/errors.ts';
import type { BackupOptions } from '../backup.ts';
import { IS_LEFT, IS_SNAPSHOT } from './own-names.ts';

export interface KnownDatabase {
  readonly name: string;
  readonly oid: string;
  readonly isTemplate: boolean;
  readonly isOpen: boolean;
  /** Left half dropped by a DROP DATABASE that was cut short (datconnlimit -2). */
  readonly isInvalid: boolean;
}

export interface ChosenDatabases {
  readonly chosen: readonly KnownDatabase[];
  /** Nobody named them, and they are not in the dump. */
  readonly leftOut: readonly { readonly database: string; readonly because: string }[];
}

/** Of everything but PostgreSQL's own templates, what a killed restore has left, and snapshots, which are copies of what is dumped. */
export const DATABASES = `
  SELECT datname AS name, oid::text AS oid, datistemplate AS "isTemplate", datallowconn AS "isOpen", datconnlimit = -2 AS "isInvalid"
    FROM pg_catalog.pg_database d WHERE datname NOT IN ('template0', 'template1') AND NOT ${IS_LEFT} AND NOT ${IS_SNAPSHOT} ORDER BY 1`;

/** First match wins: why a database is not dumped unless it is named; then, why not even so. */
const reasons: readonly {
  readonly id: string;
  readonly when: (one: KnownDatabase, wanted: BackupOptions['databases']) => boolean;
  readonly words: string;
}[] = [
  { id: 'database-invalid', when: ({ isInvalid }) => isInvalid, words: 'a DROP DATABASE of it was cut short: drop it' },
  {
    id: 'name-unreadable',
    when: ({ name }) => name.includes('\ufffd'), // What the driver makes of bytes that are no UTF-8; nobody gets in by that name.
    words: 'its name is not written in UTF-8: ALTER DATABASE … RENAME gives it one that is',
  },
  {
    id: 'database-closed',
    when: ({ isOpen }) => !isOpen,
    words: 'it takes no connections: ALTER DATABASE … WITH ALLOW_CONNECTIONS true lets pg_dump in',
  },
  {
    id: 'database-template',
    when: ({ isTemplate }, wanted) => isTemplate && wanted === undefined,
    words: 'it is a template: --all or --database takes it',
  },
];

/** Pure. Those that were named, or all; else every one that holds something of the user's. Rejects with `usage.invalid` for one that cannot be had. */
export function chooseDatabases(all: readonly KnownDatabase[], wanted: BackupOptions['databases']): ChosenDatabases {
  const reasonOf = (one: KnownDatabase): string | undefined => reasons.find(({ when }) => when(one, wanted))?.words;
  if (wanted !== undefined && wanted !== 'all') {
    const chosen = wanted.map((name) => {
      const found = all.find((one) => one.name === name);
      if (!found)
        throw new DbkitError('usage.invalid', `there is no database ${name}`, {
          hint: `there are: ${all.map((one) => one.name).join(', ')}`,
        });
      const because = reasonOf(found);
      if (because !== undefined) throw new DbkitError('usage.invalid', `the database ${name} cannot be dumped`, { hint: because });
      return found;
    });
    return { chosen: all.filter((one) => chosen.includes(one)), leftOut: [] };
  }
  const possible = all.filter((one) => reasonOf(one) === undefined);
  const own = wanted === 'all' ? possible : possible.filter(({ name }) => name !== 'postgres');
  const leftOut = all.flatMap((one) => {
    const because = reasonOf(one);
    return because === undefined ? [] : [{ database: one.name, because }];
  });
  return { chosen: own.length > 0 ? own : possible, leftOut };
}
