import { DbkitError } from '../../../kernel/errors.ts';
import type { Destruction, DestructionKind } from '../../../wal/moments/moment.ts';

/** The statement that went wrong, as a person says it: 'drop table orders', 'delete from shop.orders', 'drop database app'. */
export interface Statement {
  readonly kind: DestructionKind;
  readonly schema: string | undefined;
  readonly name: string;
}

const forms: readonly (readonly [form: RegExp, kind: DestructionKind])[] = [
  [/^drop\s+database\s+(.+)$/i, 'drop-database'],
  [/^drop\s+(?:table|materialized\s+view|view|foreign\s+table|sequence)\s+(.+)$/i, 'drop'],
  [/^truncate\s+(?:table\s+)?(.+)$/i, 'truncate'],
  [/^delete\s+from\s+(.+)$/i, 'delete'],
];

/** Rejects with `usage.invalid` for other words. Names are taken as PostgreSQL does: lower case unless quoted. */
export function parseStatement(text: string): Statement {
  for (const [form, kind] of forms) {
    const words = form.exec(text.trim().replace(/;$/, ''))?.[1];
    const name = words === undefined ? undefined : parseName(words);
    if (name) return { kind, ...name };
  }
  throw new DbkitError('usage.invalid', `--before does not understand '${text}'`, {
    hint: 'write "drop table NAME", "truncate NAME", "delete from NAME" or "drop database NAME"',
  });
}

const IDENTIFIER = '("(?:[^"]|"")+"|[\\p{L}_][\\p{L}\\p{N}_$]*)';
const NAME = new RegExp(`^(?:${IDENTIFIER}\\.)?${IDENTIFIER}$`, 'u');

function parseName(words: string): { schema: string | undefined; name: string } | undefined {
  const [, schema, name] = NAME.exec(words.trim()) ?? [];
  return name === undefined ? undefined : { schema: schema === undefined ? undefined : folded(schema), name: folded(name) };
}

const folded = (identifier: string): string =>
  identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier.toLowerCase();

/** A name without a schema means one of any schema. */
export const stands = ({ kind, schema, name }: Statement, destruction: Destruction): boolean =>
  destruction.kind === kind &&
  destruction.names.some(
    (one) => one === (schema === undefined ? name : `${schema}.${name}`) || (schema === undefined && one.endsWith(`.${name}`)),
  );
