import { readFile } from 'node:fs/promises';
import { DbkitError } from '../../kernel/errors.ts';
import { type MemberDocument, readMember, storeHosts } from '../lint/patroni-setup.ts';
import { type StoreKeys, storeValue } from './store-keys.ts';

/** This machine's patroni.yml, and an etcd that answers for its cluster. */
export interface MemberSetting {
  readonly document: MemberDocument;
  readonly store: StoreKeys;
}

/**
 * Rejects with `config.invalid` where the file names no etcd, or one that dbkit cannot ask (https, a name and a password), and with `service.failed`
 * where none answers.
 */
export async function readMemberSetting(path: string, scope: string, signal: AbortSignal): Promise<MemberSetting> {
  const { default: yaml } = await import('yaml');
  const document = readMember(path, false, yaml.parse(await readFile(path, 'utf8'), { version: '1.1' }))?.document;
  const hosts = document === undefined ? [] : storeHosts(document);
  const named = (document?.etcd3 ?? document?.etcd) as { readonly protocol?: unknown; readonly username?: unknown } | null | undefined;
  const namespace = document?.['namespace'] ?? 'service';
  if (document === undefined || hosts.length === 0 || named?.protocol === 'https' || named?.username || namespace !== 'service')
    throw new DbkitError('config.invalid', `${path} names no etcd that dbkit can ask without a certificate and a password`, {
      hint: `restore by hand, as docs/guide/ha.md says: \`patronictl -c ${path} remove ${scope}\` removes what etcd knows; nothing was changed`,
    });
  let trouble: unknown;
  for (const host of hosts) {
    const url = /^https?:/.test(host) ? host.replace(/\/$/, '') : `http://${host}`;
    const store: StoreKeys = { url, api: document.etcd3 ? 3 : 2, scope };
    try {
      await storeValue(store, 'initialize', signal);
      return { document, store };
    } catch (cause) {
      trouble = cause;
    }
  }
  throw trouble;
}
