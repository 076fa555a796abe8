import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { wordsOf } from '../../kernel/errors.ts';
import { withArchive } from './archive.ts';
import { type Filling, openingOf } from './fill.ts';
import { makeExtension } from './make-extensions.ts';
import type { DumpedDatabase } from './manifest.ts';
import type { Missing } from './missing.ts';
import type { LoadOrder, TocEntry } from './toc.ts';

/** Extensions that live in the database of one name, their rows, and subscriptions: a scratch database never has one. */
export interface Late {
  readonly extensions: readonly string[];
  readonly rows: readonly TocEntry[];
  readonly subscriptions: readonly TocEntry[];
}

/** As the superuser, when everything belongs to its owner again: privileges, publications, and event triggers as the very last. */
export async function loadPrivileges(
  filling: Filling,
  late: readonly string[],
  signal: AbortSignal,
): Promise<{ missing: readonly Missing[]; later: Late }> {
  const { needs, dump } = filling;
  const { database } = dump;
  return withArchive(
    openingOf(filling, { withTablespaces: true, jobs: 1 }),
    needs,
    async ({ order, run }) => {
      const groups = dump.authority.isTrusted ? [order.privileges, order.last] : []; // A stranger's had their turn before.
      const failed = new Map<number, string>();
      for (const entries of groups) for (const [id, words] of await run(entries, 'superuser')) failed.set(id, words);
      return {
        missing: groups
          .flat()
          .flatMap(({ id, type, label }): Missing[] =>
            failed.has(id) ? [{ what: `${type.toLowerCase()} ${label}`, because: failed.get(id)! }] : [],
          ),
        later: laterOf(database, late, order),
      };
    },
    signal,
  );
}

function laterOf({ extensions }: DumpedDatabase, late: readonly string[], { data, subscriptions }: LoadOrder): Late {
  const tables = new Set(extensions.filter(({ name }) => late.includes(name)).flatMap((one) => one.tables));
  return { extensions: late, rows: data.filter(({ oid }) => tables.has(oid)), subscriptions };
}

/** The late ones of a dump, in its database that was loaded under another name: every extension that could not be made there. */
export async function findLate(session: Connection, filling: Filling, signal: AbortSignal): Promise<Late> {
  const { needs, dump } = filling;
  const there = new Set(
    (await session.query<{ name: string }>('SELECT extname AS name FROM pg_catalog.pg_extension')).map(({ name }) => name),
  );
  const late = dump.database.extensions.map(({ name }) => name).filter((name) => !there.has(name));
  return withArchive(
    openingOf(filling, { withTablespaces: true, jobs: 1 }),
    needs,
    async ({ order }) => laterOf(dump.database, late, order),
    signal,
  );
}

/** Told where a database does not take the place of its own. */
export const leftOut = ({ extensions, subscriptions }: Late): Missing[] => [
  ...extensions.map((name) => ({ what: `extension ${name}`, because: 'it can be made only in the database that it is configured for' })),
  ...subscriptions.map(({ label }) => ({
    what: `subscription ${label}`,
    because: 'two databases must not share one slot of the publisher',
  })),
];

/**
 * In the database that bears its own name again: extensions that live in no other, with their rows, and subscriptions, which come disabled.
 */
export async function loadLate(
  { session, ...filling }: Filling & { readonly session: Connection },
  { extensions, rows, subscriptions }: Late,
  signal: AbortSignal,
): Promise<Missing[]> {
  const { needs, loader, dump } = filling;
  const { database } = dump;
  const missing: Missing[] = [];
  for (const extension of database.extensions.filter((one) => extensions.includes(one.name))) {
    await makeExtension(session, extension, loader).catch((cause: unknown) => {
      if (sqlStateOf(cause) === undefined) throw cause;
      missing.push({ what: `extension ${extension.name}`, because: wordsOf(cause) });
    });
  }
  if (rows.length + subscriptions.length === 0) return missing;
  const wanted = [...rows, ...subscriptions];
  const failed = await withArchive(
    openingOf(filling, { withTablespaces: true, jobs: 1 }),
    needs,
    ({ run }) => run(wanted, 'superuser'),
    signal,
  );
  for (const { id, type, label } of wanted) {
    const because = failed.get(id);
    if (because !== undefined) missing.push({ what: `${type.toLowerCase()} ${label}`, because });
    else if (type === 'SUBSCRIPTION')
      missing.push({
        what: `subscription ${label}`,
        because: 'it is there, but disabled: the database that was replaced still receives it',
      });
  }
  return missing;
}
