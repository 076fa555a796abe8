import { readFile } from 'node:fs/promises';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import { Secret } from '../../kernel/secret.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import { type MemberDocument, readMember, storeHosts } from '../lint/patroni-setup.ts';
import type { EtcdReach } from './ask-etcd.ts';
import { type StoreKeys, storeValue } from './store-keys.ts';

/** This machine's patroni.yml, and an etcd that answers for its cluster. */
export interface MemberSetting {
  readonly document: MemberDocument;
  readonly store: StoreKeys;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Rejects with `config.invalid` where the file names no etcd, or a certificate that cannot be read, and with `service.failed` where none of them
 * answers.
 */
export async function readMemberSetting(
  path: string,
  scope: string,
  environment: Environment,
  signal: AbortSignal,
): Promise<MemberSetting> {
  const document = readMember(path, false, await parsed(path))?.document;
  const stores = document === undefined ? [] : await storesOf(document, path, environment);
  if (document === undefined || stores.length === 0)
    throw new DbkitError('config.invalid', `${path} names no etcd that dbkit can ask`, {
      hint: `restore by hand, as docs/guide/ha.md says: \`patronictl -c ${path} remove ${scope}\` removes what etcd knows; nothing was changed`,
    });
  const namespace = environment['PATRONI_NAMESPACE'] ?? document.namespace ?? undefined;
  let trouble: unknown;
  for (const reach of stores) {
    const store: StoreKeys = { ...reach, scope, namespace };
    try {
      await storeValue(store, 'initialize', signal);
      return { document, store };
    } catch (cause) {
      trouble = cause;
    }
  }
  throw trouble;
}

async function parsed(path: string): Promise<unknown> {
  const { default: yaml } = await import('yaml');
  try {
    return yaml.parse(await readPlainText(path, { sizeMaxBytes: 1024 * 1024 }), { version: '1.1' });
  } catch (cause) {
    throw new DbkitError('config.invalid', `${path} is not a file of Patroni: ${wordsOf(cause).split('\n')[0]}`, {
      hint: 'correct it; nothing was changed',
    }); // Without its cause, which shows lines of the file: they may hold passwords.
  }
}

const DEFAULT_PORT = 2379;

/** Every etcd that Patroni would ask, as it would ("Etcd" and "Etcdv3" of its YAML and environment settings): its variables stand above the file. */
async function storesOf(document: MemberDocument, path: string, environment: Environment): Promise<readonly EtcdReach[]> {
  const api = document.etcd3 || Object.keys(environment).some((name) => /^PATRONI_ETCD3_(HOSTS?|URL)$/.test(name)) ? 3 : 2;
  const said = (name: string): string | undefined => environment[`PATRONI_ETCD${api === 3 ? '3' : ''}_${name}`] || undefined;
  const section = (api === 3 ? document.etcd3 : document.etcd) ?? {};
  const url = said('URL') ?? section.url ?? undefined;
  const given = url === undefined ? undefined : partsOf(url, path);
  const protocol = given?.protocol ?? said('PROTOCOL') ?? section.protocol ?? 'http';
  const hosts = given
    ? [given.host]
    : (said('HOSTS')?.split(',') ?? listed(said('HOST')) ?? storeHosts({ [api === 3 ? 'etcd3' : 'etcd']: section }));
  const username = given?.username || (said('USERNAME') ?? section.username);
  const password = given?.username ? given.password : (said('PASSWORD') ?? section.password);
  const read = (name: 'cacert' | 'cert' | 'key'): Promise<Buffer | undefined> =>
    readPem(said(name.toUpperCase()) ?? section[name] ?? undefined, `${path} (${api === 3 ? 'etcd3' : 'etcd'}.${name})`);
  const tls = protocol === 'https' ? shown(await read('cacert'), await read('cert'), await read('key')) : undefined;
  const login = username ? { username, password: new Secret(password ?? '') } : undefined;
  return hosts.map((host) => ({ url: urlOf(host, protocol, section.port), api, tls, login }));
}

const listed = (host: string | undefined): readonly string[] | undefined => (host === undefined ? undefined : [host]);

/** A certificate may have its key in the same file. */
const shown = (ca: Buffer | undefined, cert: Buffer | undefined, key = cert): EtcdReach['tls'] => ({
  ...(ca && { ca }),
  ...(cert && { cert }),
  ...(key && { key }),
});

function partsOf(url: string, path: string): { protocol: string; host: string; username: string; password: string } {
  try {
    const { protocol, host, username, password } = new URL(url);
    return { protocol: protocol.slice(0, -1), host, username: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    throw new DbkitError('config.invalid', `the url of etcd in ${path} is none`, { hint: 'correct it; nothing was changed' }); // It may hold a password.
  }
}

/** '10.0.0.1', 'https' → 'https://10.0.0.1:2379'. A host may be written with quotes, as Patroni's variables have it, or as a URL. */
function urlOf(host: string, protocol: string, port: string | number | null | undefined): string {
  const bare = host.trim().replace(/^['"]|['"]$/g, '');
  if (/^https?:\/\//.test(bare)) return bare.replace(/\/$/, '');
  return `${protocol}://${/:\d+$/.test(bare) ? bare : `${bare}:${port ?? DEFAULT_PORT}`}`;
}

async function readPem(file: string | undefined, where: string): Promise<Buffer | undefined> {
  if (file === undefined) return undefined;
  return readFile(file).catch((cause: unknown) => {
    throw new DbkitError('config.invalid', `${file} of ${where} cannot be read: ${wordsOf(cause)}`, {
      hint: 'correct it, or run dbkit as the user of Patroni; nothing was changed',
      cause,
    });
  });
}
