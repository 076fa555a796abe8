import * as v from 'valibot';

/** YAML's `on` is a text in version 1.2 and true in 1.1, which Patroni reads; PostgreSQL's settings say `on`, `true`, `yes` and `1` for the same. */
export const flag = v.pipe(
  v.union([v.boolean(), v.number(), v.pipe(v.string(), v.regex(/^(on|off|true|false|yes|no|0|1)$/i))]),
  v.transform((value) => /^(on|true|yes|1)$/i.test(String(value))),
);

/** A setting of PostgreSQL's that says no, in one of its ways. */
export const isOff = (value: string | null | undefined): boolean => /^(off|false|no|0)$/i.test(value ?? '');

export const amount = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^-?\d+$/))]),
  v.transform((value) => Number(value)),
);

export const word = v.pipe(
  v.union([v.string(), v.number(), v.boolean()]),
  v.transform((value) => String(value)),
);

/** 'a, b' as well as [a, b]. */
export const words = v.pipe(
  v.union([v.array(word), word]),
  v.transform((value) => (Array.isArray(value) ? value : value.split(','))),
  v.transform((list) => list.map((one) => one.trim()).filter(Boolean)),
);

type Tree = Record<string, unknown>;

/**
 * Reads a document as far as it can be read: settings that have no value that the schema knows are left out and named, so that one wrong line
 * hides nothing else.
 */
export function readAsFarAsPossible<Schema extends v.GenericSchema>(
  schema: Schema,
  document: unknown,
): { readonly value: v.InferOutput<Schema> | undefined; readonly unreadable: readonly string[] } {
  const first = v.safeParse(schema, document);
  if (first.success) return { value: first.output, unreadable: [] };
  const paths = first.issues.map(({ path }) => (path ?? []).map(({ key }) => key));
  const copy = structuredClone(document);
  for (const path of paths) remove(copy, path);
  const second = v.safeParse(schema, copy);
  return { value: second.success ? second.output : undefined, unreadable: [...new Set(paths.map((path) => path.join('.')))] };
}

function remove(tree: unknown, path: readonly unknown[]): void {
  const parent = path.slice(0, -1).reduce<unknown>((below, key) => (below as Tree | undefined)?.[String(key)], tree);
  if (typeof parent === 'object' && parent !== null && path.length > 0) delete (parent as Tree)[String(path.at(-1))];
}
