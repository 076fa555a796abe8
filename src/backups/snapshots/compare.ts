import type { SchemaObject } from './schema-objects.ts';

/** One object that is another than it was. JSON; fields are only ever added. */
export interface SchemaChange extends Omit<SchemaObject, 'definition'> {
  readonly change: 'added' | 'removed' | 'changed';
  /** The server's own words for it; null where there was, or is, none. */
  readonly before: string | null;
  readonly after: string | null;
}

/** A table with another number of rows than it had; null where the table was not, or is not, there. */
export interface RowsChange {
  readonly table: string;
  readonly before: number | null;
  readonly after: number | null;
}

export interface DatabaseContents {
  readonly objects: readonly SchemaObject[];
  /** Rows by table, each name with its schema. */
  readonly rows: ReadonlyMap<string, number>;
}

/** Pure. In the order of the kinds, then of the names. */
export function compareSchemas(before: readonly SchemaObject[], after: readonly SchemaObject[]): SchemaChange[] {
  const keyed = (objects: readonly SchemaObject[]) => new Map(objects.map((one) => [`${one.kind} ${one.name}`, one]));
  const [was, is] = [keyed(before), keyed(after)];
  return [...new Set([...was.keys(), ...is.keys()])].sort().flatMap((key): SchemaChange[] => {
    const [old, now] = [was.get(key), is.get(key)];
    if (old?.definition === now?.definition) return [];
    const { kind, name, table } = now ?? old!;
    const change = old === undefined ? 'added' : now === undefined ? 'removed' : 'changed';
    return [{ kind, name, table, change, before: old?.definition ?? null, after: now?.definition ?? null }];
  });
}

/** Pure. Tables whose numbers of rows differ, by name. */
export const compareRows = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): RowsChange[] =>
  [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((table) => {
    const [old, now] = [before.get(table) ?? null, after.get(table) ?? null];
    return old === now ? [] : [{ table, before: old, after: now }];
  });
