import * as v from 'valibot';
import { DbkitError } from '../../kernel/errors.ts';

/** Values that look like what a column of that kind holds, and are nobody's. */
export const fakes = ['name', 'email', 'phone', 'address', 'ip', 'text', 'number', 'date', 'uuid'] as const;
export type Fake = (typeof fakes)[number];

const constant = v.union([v.string(), v.number(), v.boolean()]);
const ruleSchema = v.union(
  [
    v.pipe(
      v.nullable(v.literal('null')),
      v.transform(() => ({ kind: 'null' as const })),
    ),
    v.pipe(
      v.literal('hash'),
      v.transform(() => ({ kind: 'hash' as const })),
    ),
    v.pipe(
      v.strictObject({ fake: v.picklist(fakes) }),
      v.transform(({ fake }) => ({ kind: 'fake' as const, fake })),
    ),
    v.pipe(
      v.strictObject({ constant }),
      v.transform(({ constant: value }) => ({ kind: 'constant' as const, value: String(value) })),
    ),
  ],
  `expected null, hash, { fake: ${fakes.join(' | ')} } or { constant: VALUE }`,
);

/** The way of one column's values to others. */
export type Rule = v.InferOutput<typeof ruleSchema>;

const schema = v.record(
  v.pipe(v.string(), v.regex(/^[^.]+(\.[^.]+)?$/, 'expected TABLE or SCHEMA.TABLE')),
  v.pipe(
    v.record(v.string(), ruleSchema),
    v.check((columns) => Object.keys(columns).length > 0, 'names no column'),
  ),
);

/** One column and its rule; the schema is public where none was named. */
export interface ColumnRule {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly rule: Rule;
}

/** Pure. The rules of a parsed file, every column once. Throws `usage.invalid` with all that is wrong. */
export function readRules(value: unknown, file: string): readonly ColumnRule[] {
  const read = v.safeParse(schema, value);
  if (!read.success || Object.keys(read.output).length === 0) {
    const problems = read.success
      ? 'it names no table'
      : read.issues.map((issue) => `${(issue.path ?? []).map(({ key }) => String(key)).join('.')}: ${issue.message}`).join('\n');
    throw new DbkitError('usage.invalid', `${file} holds no rules that can be obeyed\n${problems}`, {
      hint: 'write them as `users: { email: { fake: email }, phone: null, token: hash }`; nothing was changed',
    });
  }
  return Object.entries(read.output).flatMap(([name, columns]) => {
    const at = name.indexOf('.');
    const place = at === -1 ? { schema: 'public', table: name } : { schema: name.slice(0, at), table: name.slice(at + 1) };
    return Object.entries(columns).map(([column, rule]) => ({ ...place, column, rule }));
  });
}

/** Pure. For people, and for the report. */
export const ruleWords = (rule: Rule): string =>
  rule.kind === 'fake' ? `a made-up ${rule.fake}` : rule.kind === 'constant' ? 'a constant' : rule.kind === 'hash' ? 'a hash' : 'null';
