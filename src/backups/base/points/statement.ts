import { readName } from '../../../formats/identifiers.ts';
import { DbkitError } from '../../../kernel/errors.ts';
import type { Destruction, DestructionKind } from '../../../wal/moments/moment.ts';

/** The statement that went wrong, as a person says it: 'drop table orders', 'delete from shop."Orders"', 'drop database app'. */
export interface Statement {
  readonly kind: DestructionKind;
  readonly database: string | undefined;
  readonly schema: string | undefined;
  readonly name: string;
}

const forms: readonly (readonly [form: RegExp, kind: DestructionKind, partsMax: number])[] = [
  [/^drop\s+database\s+(?:if\s+exists\s+)?(.+)$/is, 'drop-database', 1],
  [
    /^drop\s+(?:table|materialized\s+view|view|foreign\s+table|sequence)\s+(?:if\s+exists\s+)?(.+?)(?:\s+(?:cascade|restrict))?$/is,
    'drop',
    3,
  ],
  [/^truncate\s+(?:table\s+)?(?:only\s+)?(.+?)(?:\s+(?:restart|continue)\s+identity)?(?:\s+(?:cascade|restrict))?$/is, 'truncate', 3],
  [/^delete\s+from\s+(?:only\s+)?(.+)$/is, 'delete', 3],
];

/** Rejects with `usage.invalid` for other words. Names are taken as PostgreSQL takes them: lower case unless quoted. */
export function parseStatement(text: string): Statement {
  for (const [form, kind, partsMax] of forms) {
    const words = form.exec(text.trim().replace(/\s*;$/, ''))?.[1];
    const parts = words === undefined ? undefined : readName(words);
    if (parts === undefined || parts.length > partsMax) continue;
    const [name, schema, database] = parts.toReversed();
    return { kind, database, schema, name: name! };
  }
  throw new DbkitError('usage.invalid', `--before does not understand '${text}'`, {
    hint: 'write "drop table NAME", "truncate NAME", "delete from NAME" or "drop database NAME"; a name with capitals or dots in double quotes',
  });
}

/** A name without a schema means one of any schema. */
export const stands = ({ kind, database, schema, name }: Statement, destruction: Destruction): boolean =>
  destruction.kind === kind &&
  (database === undefined || database === destruction.database) &&
  destruction.names.some((one) => {
    const parts = readName(one);
    return parts?.at(-1) === name && (schema === undefined || schema === parts.at(-2));
  });
