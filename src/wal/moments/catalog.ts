import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClassRow, classRow, namedRow, rowsOf } from '../../formats/catalog-rows.ts';
import { parseFilenodeMap } from '../../formats/filenode-map.ts';
import { writeName } from '../../formats/identifiers.ts';
import { WAL_PAGE_BYTES } from '../../formats/wal-segment.ts';
import { readPlain } from '../../machine/plain-file.ts';

const [PG_CLASS, PG_DATABASE, PG_NAMESPACE] = [1259, 1262, 2615];

/** A relation as people call it. */
export interface Named {
  readonly database: number;
  readonly row: ClassRow;
}

/** Which relation is called what: learnt from a base backup, then from WAL, row by row. Nothing is ever forgotten: what is gone has a name too. */
export interface Catalog {
  isClass(database: number, file: number): boolean;
  /** One row of any of the three catalogs that are followed, at its place in its file. */
  learn(database: number, file: number, place: { readonly block: number; readonly item: number }, data: Buffer): ClassRow | undefined;
  /** The bytes of the row at that place, as they were learnt. */
  bytesAt(database: number, file: number, place: { readonly block: number; readonly item: number }): Buffer | undefined;
  /** Follows that file too? Only such pages are worth unpacking. */
  follows(database: number, file: number): boolean;
  /** The file that holds a catalog now: it was written anew. */
  remap(database: number, map: Buffer): void;
  relation(database: number, oid: number): ClassRow | undefined;
  relationOfFile(database: number, file: number): ClassRow | undefined;
  /** 'schema.name', in quotes where SQL needs them. */
  nameOf(database: number, row: ClassRow): string;
  databaseName(oid: number): string;
}

export function createCatalog(major: number): Catalog {
  const classFiles = new Map<number, number>();
  const namespaceFiles = new Map<number, number>();
  let databaseFile = PG_DATABASE;
  const classes = new Map<string, ClassRow>();
  const files = new Map<string, number>();
  const namespaces = new Map<string, string>();
  const databases = new Map<number, string>();
  const rows = new Map<string, Buffer>();
  const key = (...parts: readonly number[]): string => parts.join('/');
  const isClass = (database: number, file: number): boolean => file === (classFiles.get(database) ?? PG_CLASS);
  const isNamespace = (database: number, file: number): boolean => file === (namespaceFiles.get(database) ?? PG_NAMESPACE);
  const isDatabase = (database: number, file: number): boolean => database === 0 && file === databaseFile;

  function learnClass(database: number, data: Buffer): ClassRow | undefined {
    const row = classRow(data, major);
    if (!row) return undefined;
    classes.set(key(database, row.oid), row);
    if (row.file !== 0) files.set(key(database, row.file), row.oid);
    if (row.oid === PG_NAMESPACE && row.file !== 0) namespaceFiles.set(database, row.file);
    return row;
  }

  const own = (database: number, row: ClassRow): ClassRow => {
    const original = /^pg_temp_(\d+)$/.exec(row.name); // Of a rewrite: the new file's relation is called after the table that it is for.
    return (original && classes.get(key(database, Number(original[1])))) || row;
  };

  const catalog: Catalog = {
    isClass,
    follows: (database, file) => isClass(database, file) || isNamespace(database, file) || isDatabase(database, file),
    learn(database, file, { block, item }, data) {
      if (!catalog.follows(database, file) || data.length < 8) return undefined;
      rows.set(key(database, file, block, item), Buffer.from(data));
      if (isClass(database, file)) return learnClass(database, data);
      const { oid, name } = namedRow(data);
      if (isDatabase(database, file)) databases.set(oid, name);
      else namespaces.set(key(database, oid), name);
      return undefined;
    },
    bytesAt: (database, file, { block, item }) => rows.get(key(database, file, block, item)),
    remap(database, map) {
      const parsed = parseFilenodeMap(map);
      if ('problem' in parsed) return;
      if (database === 0) databaseFile = parsed.files.get(PG_DATABASE) ?? databaseFile;
      else classFiles.set(database, parsed.files.get(PG_CLASS) ?? PG_CLASS);
    },
    relation: (database, oid) => classes.get(key(database, oid)),
    relationOfFile(database, file) {
      const oid = files.get(key(database, file));
      const row = oid === undefined ? undefined : classes.get(key(database, oid));
      return row && own(database, row);
    },
    nameOf(database, row) {
      const schema = namespaces.get(key(database, row.namespace));
      return writeName(schema === undefined ? [row.name] : [schema, row.name]);
    },
    databaseName: (oid) => databases.get(oid) ?? String(oid),
  };
  return catalog;
}

/** The catalogs of a data directory or of a base backup. What cannot be read there only has no name. */
export async function learnDirectory(catalog: Catalog, dataDir: string, signal: AbortSignal): Promise<void> {
  const read = (...path: readonly string[]): Promise<Buffer> => readPlain(join(dataDir, ...path)).catch(() => Buffer.alloc(0));
  const learnFile = async (folder: string, database: number, file: number): Promise<void> => {
    signal.throwIfAborted();
    const bytes = await read(folder, String(file));
    for (let at = 0, block = 0; at + WAL_PAGE_BYTES <= bytes.length; at += WAL_PAGE_BYTES, block += 1)
      for (const { item, data } of rowsOf(bytes.subarray(at, at + WAL_PAGE_BYTES))) catalog.learn(database, file, { block, item }, data);
  };
  catalog.remap(0, await read('global', 'pg_filenode.map'));
  await learnFile('global', 0, mapped(await read('global', 'pg_filenode.map'), PG_DATABASE));
  const folders = (await readdir(join(dataDir, 'base')).catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const folder of folders) {
    const database = Number(folder);
    const map = await read('base', folder, 'pg_filenode.map');
    catalog.remap(database, map);
    await learnFile(`base/${folder}`, database, mapped(map, PG_CLASS));
    const namespace = catalog.relation(database, PG_NAMESPACE)?.file;
    if (namespace) await learnFile(`base/${folder}`, database, namespace);
  }
}

function mapped(map: Buffer, oid: number): number {
  const parsed = parseFilenodeMap(map);
  return 'problem' in parsed ? oid : (parsed.files.get(oid) ?? oid);
}
