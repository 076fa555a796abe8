import * as v from 'valibot';
import { nearest } from '../kernel/closest-name.ts';
import { DbkitError } from '../kernel/errors.ts';
import { type Config, configSchema } from './config.ts';
import { type Coercion, environment } from './environment.ts';
import { type Origin, originWords } from './origin.ts';

/** One source of settings, already read. Paths are dotted: 'postgresql.port'. */
export interface Layers {
  /** The parsed file, and its name for messages; undefined when there is none. */
  readonly file: { readonly path: string; readonly value: unknown } | undefined;
  /** Names of the environment with their texts; and where each was found. */
  readonly environment: readonly { readonly name: string; readonly text: string; readonly from: Origin }[];
  /** Problems that occurred while the environment was read: reported with everything else. */
  readonly problems?: readonly string[];
  readonly flags: readonly { readonly path: string; readonly value: unknown; readonly flag: string }[];
}

export interface LoadedConfig {
  readonly config: Config;
  /** Dotted path → where the value came from; what is not listed is a default. */
  readonly origins: ReadonlyMap<string, Origin>;
}

type Tree = { [key: string]: unknown };
const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.getPrototypeOf(value) === Object.prototype;

/** Defaults < file < environment < flags. Throws `config.invalid` with every problem at once, each with its origin. */
export function layerConfig({ file, environment: variables, flags, problems: earlier = [] }: Layers): LoadedConfig {
  const problems: string[] = [...earlier];
  const origins = new Map<string, Origin>();
  const tree: Tree = {};
  if (file?.value !== undefined && file.value !== null && !isTree(file.value))
    problems.push(`${file.path}: expected a mapping of settings`);
  else if (isTree(file?.value)) graft(tree, file.value, [], { kind: 'file', path: file.path }, origins);
  const given = new Set<string>();
  for (const { name, text, from } of variables) {
    const [path, as] = environment[name as keyof typeof environment];
    if (given.has(path)) continue; // The first name of the table wins where two name one setting.
    given.add(path);
    const value = coerce(text, as);
    if (value === undefined)
      problems.push(`${path}: expected ${wants[as]}${from.kind === 'secret-file' ? '' : `, got '${text}'`} (from ${originWords(from)})`); // A file may be somebody's secret.
    else if (!(name === 'PGHOST' && !text.startsWith('/'))) put(tree, path, value, from, origins); // A host name is libpq's business, not a socket directory.
  }
  for (const { path, value, flag } of flags) put(tree, path, value, { kind: 'flag', flag }, origins);
  const result = v.safeParse(configSchema, tree);
  if (!result.success) problems.push(...result.issues.map((issue) => describe(issue, origins)));
  if (problems.length > 0 || !result.success) {
    throw new DbkitError('config.invalid', `the configuration is not valid\n${problems.join('\n')}`, {
      hint: 'correct them where each line says it comes from; `dbkit config check` checks again, and nothing was changed',
    });
  }
  return { config: result.output, origins };
}

const wants: Record<Coercion, string> = {
  text: 'a text',
  number: 'a number',
  list: 'a comma-separated list',
  flag: 'true or false',
  members: 'NAME=http://HOST:8008, …',
};

function coerce(text: string, as: Coercion): unknown {
  switch (as) {
    case 'text':
      return text;
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined;
    case 'list':
      return text
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean);
    case 'flag':
      return /^(true|yes|on|1)$/i.test(text) ? true : /^(false|no|off|0)$/i.test(text) ? false : undefined;
    case 'members':
      return membersIn(text);
  }
}

/** 'n1=http://10.0.0.1:8008,n2=…' → { n1: { api: 'http://10.0.0.1:8008' }, … }; undefined for anything else. */
function membersIn(text: string): unknown {
  const pairs = text
    .split(',')
    .filter((one) => one.trim() !== '')
    .map((one) => /^\s*([^=\s]+)=(\S+)\s*$/.exec(one));
  if (pairs.some((pair) => pair === null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair![1], { api: pair![2] }]));
}

function put(tree: Tree, path: string, value: unknown, from: Origin, origins: Map<string, Origin>): void {
  const keys = path.split('.');
  let branch = tree;
  for (const key of keys.slice(0, -1)) {
    if (!isTree(branch[key])) branch[key] = {};
    branch = branch[key] as Tree;
  }
  branch[keys.at(-1)!] = value;
  origins.set(path, from);
}

function graft(tree: Tree, value: Tree, above: readonly string[], from: Origin, origins: Map<string, Origin>): void {
  for (const [key, item] of Object.entries(value)) {
    const path = [...above, key];
    if (isTree(item)) {
      const branch: Tree = {}; // Never what `tree[key]` may inherit.
      tree[key] = branch;
      graft(branch, item, path, from, origins);
    } else if (item !== null) {
      tree[key] = item;
      origins.set(path.join('.'), from);
    }
  }
}

function describe(issue: v.BaseIssue<unknown>, origins: ReadonlyMap<string, Origin>): string {
  const keys = (issue.path ?? []).map(({ key }) => String(key));
  return `${keys.join('.')}: ${complaint(issue, keys)} (from ${originOf(keys, origins)})`;
}

function complaint(issue: v.BaseIssue<unknown>, keys: readonly string[]): string {
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const close = nearest(keys.at(-1)!, knownKeys(keys.slice(0, -1)));
    return `there is no such setting${close ? `; did you mean '${close}'?` : ''}`;
  }
  if (issue.type === 'strict_object' && issue.received === 'undefined') return 'is required';
  if (!/^Invalid (type|value)/.test(issue.message)) return issue.message;
  return `expected ${plainWords[issue.expected ?? ''] ?? issue.expected}, got ${plainWords[issue.received] ?? issue.received}`;
}

/** Valibot speaks of types; people write mappings, lists and texts. */
const plainWords: Readonly<Record<string, string>> = {
  Object: 'a mapping',
  Array: 'a list',
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
};

/** Where the value at `keys` came from: its own origin, else that of the nearest thing around it. */
function originOf(keys: readonly string[], origins: ReadonlyMap<string, Origin>): string {
  for (let length = keys.length; length > 0; length -= 1) {
    const path = keys.slice(0, length).join('.');
    const found = origins.get(path) ?? [...origins].find(([known]) => known.startsWith(`${path}.`))?.[1];
    if (found !== undefined) return originWords(found);
  }
  return 'default';
}

function knownKeys(above: readonly string[]): string[] {
  let schema: unknown = configSchema;
  for (const key of above) {
    const entries = (unwrap(schema) as { entries?: Record<string, unknown> }).entries;
    schema = entries?.[key] ?? (unwrap(schema) as { value?: unknown }).value;
  }
  return Object.keys((unwrap(schema) as { entries?: Record<string, unknown> } | undefined)?.entries ?? {});
}

/** Below what is optional, and below what is chosen by the value: that of most values. */
function unwrap(schema: unknown): unknown {
  const { wrapped, getter } = (schema ?? {}) as { wrapped?: unknown; getter?: (value: unknown) => unknown };
  if (getter !== undefined) return unwrap(getter(undefined));
  return wrapped === undefined ? schema : unwrap(wrapped);
}
