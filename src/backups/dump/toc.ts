/** One entry of an archive, as a line of `pg_restore --list` names it: `id; class oid TYPE schema name owner`. */
export interface TocEntry {
  readonly id: number;
  /** Its catalog and its oid in the database that was dumped; data has the oid of its table, and no class. */
  readonly classId: number;
  readonly oid: number;
  readonly type: string;
  /** Schema, name and owner, for people: line breaks in them are blanks, so nothing is told apart by it. */
  readonly label: string;
  readonly line: string;
}

/** Types of more than one word; what is of no known one has the first word of its line as its type (pg_backup_archiver.c, pg_dump.c). */
const longTypes = [
  'ACCESS METHOD',
  'BLOB METADATA',
  'CHECK CONSTRAINT',
  'DATABASE PROPERTIES',
  'DEFAULT ACL',
  'EVENT TRIGGER',
  'FK CONSTRAINT',
  'FOREIGN DATA WRAPPER',
  'FOREIGN TABLE',
  'INDEX ATTACH',
  'MATERIALIZED VIEW DATA',
  'MATERIALIZED VIEW',
  'OPERATOR CLASS',
  'OPERATOR FAMILY',
  'PROCEDURAL LANGUAGE',
  'PUBLICATION TABLES IN SCHEMA',
  'PUBLICATION TABLE',
  'ROW SECURITY',
  'SECURITY LABEL',
  'SEQUENCE OWNED BY',
  'SEQUENCE SET',
  'SHELL TYPE',
  'STATISTICS DATA',
  'SUBSCRIPTION TABLE',
  'TABLE ATTACH',
  'TABLE DATA',
  'TEXT SEARCH CONFIGURATION',
  'TEXT SEARCH DICTIONARY',
  'TEXT SEARCH PARSER',
  'TEXT SEARCH TEMPLATE',
  'USER MAPPING',
] as const;

/** Pure. The entries of `pg_restore --list`, in their order. */
export function parseToc(listing: string): TocEntry[] {
  return listing.split('\n').flatMap((line): TocEntry[] => {
    const match = /^(\d+); (\d+) (\d+) (.+)$/.exec(line);
    if (!match) return [];
    const [, id, classId, oid, rest] = match;
    const type = typeOf(rest!, Number(classId));
    return [{ id: Number(id), classId: Number(classId), oid: Number(oid), type, label: rest!.slice(type.length + 1), line }];
  });
}

/** A table in a schema called DATA is no data: data has no catalog of its own. */
function typeOf(rest: string, classId: number): string {
  const long = longTypes.find((type) => rest.startsWith(`${type} `));
  if (long === undefined) return rest.split(' ', 1)[0]!;
  return long.endsWith(' DATA') && classId !== 0 ? long.slice(0, -' DATA'.length) : long;
}

const dataTypes: ReadonlySet<string> = new Set(['TABLE DATA', 'BLOBS', 'SEQUENCE SET']);
/** Publications and event triggers act by themselves, or only a superuser may make them. */
const lastTypes: ReadonlySet<string> = new Set(['PUBLICATION', 'PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA', 'EVENT TRIGGER']);
/** Extensions are made from the manifest, the database before anything else. */
const leftOut: ReadonlySet<string> = new Set(['EXTENSION', 'DATABASE', 'DATABASE PROPERTIES', 'ENCODING', 'STDSTRINGS', 'SEARCHPATH']);
const ofLeftOut = /^\d+; 0 0 (COMMENT|SECURITY LABEL) - (EXTENSION|DATABASE|SUBSCRIPTION) /;
const ofLast = /^\d+; 0 0 (COMMENT|SECURITY LABEL) - (EVENT TRIGGER|PUBLICATION) /;
/** The entries that pg_dump puts behind the rows (pg_dump_sort.c), for a dump that holds none. */
const afterTypes: ReadonlySet<string> = new Set([
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'INDEX ATTACH',
  'MATERIALIZED VIEW DATA',
  'POLICY',
  'ROW SECURITY',
  'RULE',
  'STATISTICS',
  'TRIGGER',
]);

const groups = ['schemas', 'before', 'data', 'indexes', 'after', 'privileges', 'last', 'subscriptions'] as const;
type Group = (typeof groups)[number];
/**
 * How the entries of an archive are brought back, each group in its own order. `before`: definitions that the rows need. `indexes`: keys too,
 * none of which needs another. `privileges` and `last` are for the superuser, when everything belongs to its owner again.
 */
export type LoadOrder = Readonly<Record<Group, readonly TocEntry[]>>;

/** Pure. */
export function orderToc(entries: readonly TocEntry[]): LoadOrder {
  const lastData = entries.findLastIndex(({ type }) => dataTypes.has(type));
  const grouped = entries.map((entry, index) => ({ entry, group: groupOf(entry, lastData < 0 ? undefined : index > lastData) }));
  const of = (group: Group): TocEntry[] => grouped.flatMap((one) => (one.group === group ? [one.entry] : []));
  return Object.fromEntries(groups.map((group) => [group, of(group)])) as Record<Group, TocEntry[]>;
}

function groupOf({ type, line }: TocEntry, isBehindData: boolean | undefined): Group | undefined {
  if (leftOut.has(type) || ofLeftOut.test(line)) return undefined;
  if (type.startsWith('SUBSCRIPTION')) return 'subscriptions';
  if (type === 'ACL' || type === 'DEFAULT ACL') return 'privileges';
  if (lastTypes.has(type) || ofLast.test(line)) return 'last';
  if (type === 'SCHEMA') return 'schemas';
  if (dataTypes.has(type)) return 'data';
  if (type === 'INDEX' || type === 'CONSTRAINT') return 'indexes';
  return (isBehindData ?? afterTypes.has(type)) ? 'after' : 'before';
}
