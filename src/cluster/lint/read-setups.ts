import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { DbkitError, errnoOf, wordsOf } from '../../kernel/errors.ts';
import type { Setups } from './lint.ts';
import { type MemberSetup, readDynamic, readMember } from './patroni-setup.ts';
import { readPooler, readRoutes, readUnit } from './routing-setup.ts';
import { readStore } from './store-rows.ts';

export const fileKinds = ['patroni', 'dynamic', 'etcd', 'haproxy', 'pgbouncer', 'systemd'] as const;

export interface LintedFile {
  readonly path: string;
  readonly kind: (typeof fileKinds)[number];
}

/** Where Debian, Red Hat and Patroni's own documentation put them. */
export const usualFiles: readonly string[] = [
  '/etc/patroni/config.yml',
  '/etc/patroni/patroni.yml',
  '/etc/patroni.yml',
  '/etc/etcd/etcd.conf.yml',
  '/etc/haproxy/haproxy.cfg',
  '/etc/pgbouncer/pgbouncer.ini',
  '/etc/systemd/system/patroni.service',
];

const SIZE_BYTES_MAX = 1024 * 1024;

export type ReadSetups = Omit<Setups, 'version' | 'memberCount'> & { readonly files: readonly LintedFile[] };

/** Reads each file as what its content shows it to be. Rejects with `config.invalid`, naming the file, for one that cannot be read or is none of them. */
export async function readSetups(paths: readonly string[]): Promise<ReadSetups> {
  return setupsOf(await Promise.all(paths.map(async (path) => ({ path, ...(await readBounded(path)) }))));
}

/** The same for texts that are in no file yet. */
export async function setupsOf(texts: readonly TextFile[]): Promise<ReadSetups> {
  const read: ReadSetups = { members: [], dynamic: null, routes: [], poolers: [], stores: [], units: [], files: [] };
  let all = read;
  for (const one of texts) all = await withFile(all, one);
  return all;
}

export interface TextFile {
  readonly path: string;
  readonly text: string;
  readonly isReadableByAll: boolean;
}

async function readBounded(path: string): Promise<Omit<TextFile, 'path'>> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: unknown) => {
    throw notRead(path, errnoOf(cause) === 'ENOENT' ? 'does not exist' : `cannot be read: ${wordsOf(cause)}`, cause);
  });
  try {
    const { size, mode } = await file.stat().then((stat) => {
      if (!stat.isFile()) throw notRead(path, 'is no file');
      return stat;
    });
    if (size > SIZE_BYTES_MAX) throw notRead(path, 'is larger than 1 MiB');
    return { text: await file.readFile('utf8'), isReadableByAll: (mode & 0o004) !== 0 };
  } finally {
    await file.close();
  }
}

async function withFile(all: ReadSetups, { path, text, isReadableByAll }: TextFile): Promise<ReadSetups> {
  const as = (kind: LintedFile['kind'], more: Partial<ReadSetups>): ReadSetups => ({
    ...all,
    ...more,
    files: [...all.files, { path, kind }],
  });
  if (/^\s*\[pgbouncer\]/m.test(text)) return as('pgbouncer', { poolers: [...all.poolers, readPooler(path, text)] });
  if (/^\s*\[Service\]/m.test(text)) return as('systemd', { units: [...all.units, readUnit(path, text)] });
  if (/^(global|defaults|listen|frontend|backend)\b[^:]*$/m.test(text))
    return as('haproxy', { routes: [...all.routes, ...readRoutes(path, text)] });
  const document = await parsed(path, text);
  const has = (...names: readonly string[]): boolean => names.some((name) => name in document);
  const member = has('restapi', 'bootstrap', 'scope') ? readMember(path, isReadableByAll, document) : undefined;
  if (member) return as('patroni', { members: [...all.members, member satisfies MemberSetup] });
  const store = has('data-dir', 'listen-client-urls', 'initial-cluster') ? readStore(path, document) : undefined;
  if (store) return as('etcd', { stores: [...all.stores, store] });
  const dynamic = has('ttl', 'loop_wait', 'retry_timeout', 'synchronous_mode', 'postgresql') ? readDynamic(path, document) : null;
  if (dynamic) return as('dynamic', { dynamic });
  throw notRead(path, 'is no file of Patroni, etcd, HAProxy, PgBouncer or systemd');
}

async function parsed(path: string, text: string): Promise<object> {
  const { default: yaml } = await import('yaml');
  const document = yaml.parseDocument(text, { version: '1.1', merge: true }); // PyYAML reads 1.1: `on` is true there.
  const [error] = document.errors;
  if (error) throw notRead(path, `is no YAML: ${error.message.split('\n')[0]}`, error);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw notRead(path, `is no file that anybody wrote: ${wordsOf(cause)}`, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw notRead(path, 'is no file of Patroni, etcd, HAProxy, PgBouncer or systemd');
  return value;
}

const notRead = (path: string, why: string, cause?: unknown): DbkitError =>
  new DbkitError('config.invalid', `${path} ${why}`, {
    hint: 'name patroni.yml, what `patronictl show-config` prints, etcd’s YAML, haproxy.cfg, pgbouncer.ini or a unit',
    cause,
  });
