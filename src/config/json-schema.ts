import { toJsonSchema } from '@valibot/to-json-schema';
import { configSchema } from './config.ts';
import { settingMeanings } from './meanings.ts';

/** JSON Schema (draft-07) as far as it is read here. */
export interface Schema {
  readonly [key: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly default?: unknown;
}

/** JSON Schema (draft-07) of dbkit.yaml, each setting with its meaning. Rules that a schema cannot express are left to `dbkit config check`. */
export function configJsonSchema(): Schema {
  const schema = toJsonSchema(configSchema, { errorMode: 'ignore', typeMode: 'input' }) as Schema;
  return { ...described(schema, ''), title: 'dbkit.yaml' };
}

function described(schema: Schema, path: string): Schema {
  const meaning = settingMeanings[path];
  const entries = Object.entries(schema.properties ?? {}).map(([key, value]) => [key, described(value, path ? `${path}.${key}` : key)]);
  return {
    ...schema,
    ...(meaning === undefined ? {} : { description: meaning }),
    ...(schema.properties === undefined ? {} : { properties: Object.fromEntries(entries) }),
  };
}

/** One line of docs/CONFIGURATION.md. */
export interface Setting {
  readonly path: string;
  readonly values: string;
  readonly default: string;
  readonly meaning: string;
}

/** Every setting in the order of the schema; those with a warning and a critical level are one. */
export function settingsOf(schema: Schema = configJsonSchema(), path = ''): readonly Setting[] {
  const { warning, critical } = schema.properties ?? {};
  if (schema.properties !== undefined && !(warning && critical))
    return Object.entries(schema.properties).flatMap(([key, value]) => settingsOf(value, path ? `${path}.${key}` : key));
  const levels = warning && critical ? `{ warning: ${warning.default}, critical: ${critical.default} }` : undefined;
  const given = schema.default === undefined || schema.default === '' ? '' : JSON.stringify(schema.default).replace(/^"(.*)"$/, '$1');
  return [{ path, values: levels ? 'two levels' : valuesOf(schema), default: levels ?? given, meaning: settingMeanings[path] ?? '' }];
}

const known: Readonly<Record<string, string>> = {
  '^/': 'absolute path',
  '^\\d+[smhdw]$': 'duration (90s, 12h, 30d)',
  '^\\d+(\\.\\d+)?(kB|MB|GB|TB)$': 'size (512MB, 1GB)',
};

function valuesOf({ type, enum: words, pattern, anyOf }: Schema): string {
  if (Array.isArray(words)) return words.join(', ');
  if (typeof pattern === 'string' && known[pattern] !== undefined) return known[pattern];
  if (Array.isArray(anyOf)) return anyOf.some((one: Schema) => one.properties !== undefined) ? '{ file } or { env }' : 'text';
  return (
    { string: 'text', integer: 'whole number', number: 'number', boolean: 'true, false', array: 'list', object: 'mapping' }[String(type)] ??
    ''
  );
}
