import type { ClassRow } from '../../formats/catalog-rows.ts';
import { quoted } from '../../formats/identifiers.ts';
import type { TransactionEnd } from '../../formats/transaction-record.ts';
import type { Catalog } from './catalog.ts';
import type { Destruction } from './moment.ts';

/** The changes of one transaction so far, as far as people would miss something. */
export interface Changes {
  /** Relations whose row in pg_class it deleted, as they were. */
  readonly dropped: { readonly database: number; readonly row: ClassRow | undefined }[];
  /** Relations that it made itself: nobody misses them. */
  readonly made: Set<string>;
  /** New files for relations. */
  newFiles: number;
  /** Deleted rows by 'database/file'. */
  readonly deleted: Map<string, { readonly database: number; readonly file: number; rows: number }>;
  droppedDatabase: number | undefined;
}

export const noChanges = (): Changes => ({ dropped: [], made: new Set(), newFiles: 0, deleted: new Map(), droppedDatabase: undefined });

/** Fewer are everyday work, and a timeline with all of them would show nothing. */
const DELETED_ROWS_MIN = 1000;
const FIRST_USER_FILE = 16_384; // FirstNormalObjectId (transam.h)
const tables = new Set(['r', 'p', 'm', 'f']);
const ofTable = new Set(['i', 'I', 't', 'S', 'c']);

/** The destruction by a transaction, from its own changes and its subtransactions'. */
export function destructionOf(changes: readonly Changes[], { files }: TransactionEnd, catalog: Catalog): Destruction | undefined {
  const droppedDatabase = changes.find((each) => each.droppedDatabase !== undefined)?.droppedDatabase;
  if (droppedDatabase !== undefined) {
    const name = catalog.databaseName(droppedDatabase);
    return { kind: 'drop-database', database: name, names: [quoted(name)], rows: 0 };
  }
  return dropOf(changes, catalog) ?? rewriteOf(changes, files, catalog) ?? deleteOf(changes, catalog);
}

function dropOf(changes: readonly Changes[], catalog: Catalog): Destruction | undefined {
  const made = new Set(changes.flatMap((each) => [...each.made]));
  const gone = changes
    .flatMap(({ dropped }) => dropped)
    .filter(({ database, row }) => row && !row.isTemporary && !isOfRewrite(row) && !made.has(`${database}/${row.oid}`))
    .map(({ database, row }) => ({ database, row: row! }));
  const main = gone.filter(({ row }) => tables.has(row.kind));
  const named = main.length > 0 ? main : gone.filter(({ row }) => !ofTable.has(row.kind) || row.kind === 'S');
  const [first] = named;
  if (!first) return undefined;
  return { kind: 'drop', database: catalog.databaseName(first.database), names: unique(named, catalog), rows: 0 };
}

const isOfRewrite = ({ name }: ClassRow): boolean => /^pg_temp_\d+$/.test(name) || /^pg_toast_\d+(_index)?$/.test(name);

function rewriteOf(changes: readonly Changes[], files: TransactionEnd['files'], catalog: Catalog): Destruction | undefined {
  if (files.length === 0 || !changes.some(({ newFiles }) => newFiles > 0)) return undefined;
  const replaced = files
    .map(({ database, file }) => ({ database, row: catalog.relationOfFile(database, file) }))
    .filter((one): one is { database: number; row: ClassRow } => one.row !== undefined && tables.has(one.row.kind) && !one.row.isTemporary)
    .filter(({ database, row }) => !changes.some(({ made }) => made.has(`${database}/${row.oid}`)));
  const [first] = replaced;
  if (!first) return undefined;
  const isRewrite = changes.some(({ dropped }) => dropped.some(({ row }) => row && /^pg_temp_\d+$/.test(row.name)));
  const names = unique(replaced, catalog);
  return { kind: isRewrite ? 'rewrite' : 'truncate', database: catalog.databaseName(first.database), names, rows: 0 };
}

function deleteOf(changes: readonly Changes[], catalog: Catalog): Destruction | undefined {
  const counts = new Map<string, { database: number; name: string; rows: number }>();
  for (const { database, file, rows } of changes.flatMap(({ deleted }) => [...deleted.values()])) {
    if (file < FIRST_USER_FILE) continue;
    const row = catalog.relationOfFile(database, file);
    if (row && row.kind !== 'r') continue; // TOAST goes with its table.
    const name = row ? catalog.nameOf(database, row) : `file ${database}/${file}`;
    counts.set(`${database}/${name}`, { database, name, rows: (counts.get(`${database}/${name}`)?.rows ?? 0) + rows });
  }
  const many = [...counts.values()].filter(({ rows }) => rows >= DELETED_ROWS_MIN);
  const [first] = many;
  if (!first) return undefined;
  const rows = many.reduce((sum, each) => sum + each.rows, 0);
  return { kind: 'delete', database: catalog.databaseName(first.database), names: many.map(({ name }) => name), rows };
}

const unique = (relations: readonly { database: number; row: ClassRow }[], catalog: Catalog): string[] =>
  [...new Set(relations.map(({ database, row }) => catalog.nameOf(database, row)))].sort();
