/** Pure. As pg_dump reads it whatever the search_path is: one without a schema is of every schema (psql, "Patterns"). */
export const inEverySchema = (pattern: string): string => (/^("(?:[^"]|"")*"|[^."])*\./.test(pattern) ? pattern : `*.${pattern}`);

/** Pure. Does a pattern mean this table? In quotes letters stay as they are and signs mean themselves; * is anything, ? one character. */
export function means(pattern: string, { schema, name }: { readonly schema: string; readonly name: string }): boolean {
  const parts = inEverySchema(pattern).match(/"(?:[^"]|"")*"|\.|[^".]+/g) ?? [];
  const source = parts
    .map((part) => {
      if (part === '.') return '\\u0000';
      if (part.startsWith('"')) return escaped(part.slice(1, -1).replaceAll('""', '"'));
      return escaped(part.toLowerCase()).replaceAll('\\*', '[^\\u0000]*').replaceAll('\\?', '[^\\u0000]');
    })
    .join('');
  return new RegExp(`^${source}$`, 'u').test(`${schema}\u0000${name}`);
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, (sign) => (sign === '-' ? '-' : `\\${sign}`));
