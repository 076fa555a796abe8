import { DbkitError } from '../../kernel/errors.ts';
import { askEtcd, type EtcdAnswer, type EtcdReach } from './ask-etcd.ts';

/** An etcd, and the cluster's place in it. */
export interface StoreKeys extends EtcdReach {
  readonly scope: string;
  /** undefined: Patroni's default. */
  readonly namespace?: string | undefined;
}

/** Patroni joins them so, and takes several slashes for one (patroni/dcs/__init__.py, AbstractDCS). */
const placeOf = ({ namespace = 'service', scope }: StoreKeys): string => `/${namespace}/${scope}/`.replace(/\/+/g, '/');
const base64 = (text: string): string => Buffer.from(text).toString('base64');
/** Every key that begins so: up to the next string of that length (etcd's API guide, "Key ranges"). */
const behind = (prefix: string): string => `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;

/** One key of the cluster's at one moment. */
export interface StoreEntry {
  readonly value: string;
  /** It is another one after every change. */
  readonly revision: string;
}

/** The value of one key of the cluster's; undefined: etcd says that it is not there. Rejects with `service.failed` where etcd does not say. */
export const storeValue = async (store: StoreKeys, key: string, signal: AbortSignal): Promise<string | undefined> =>
  (await storeEntry(store, key, signal))?.value;

/** The same with its revision. */
export async function storeEntry(store: StoreKeys, key: string, signal: AbortSignal): Promise<StoreEntry | undefined> {
  const path = `${placeOf(store)}${key}`;
  if (store.api === 2) {
    const answer = await askEtcd(store, `/v2/keys${path}`, signal);
    if (isAbsent(answer)) return undefined;
    const { value, modifiedIndex } = (answer.json as { node?: { value?: string; modifiedIndex?: number } } | undefined)?.node ?? {};
    return answer.status === 200 && value !== undefined
      ? { value, revision: String(modifiedIndex) }
      : unsaid(store, `does not say what ${path} is`, answer);
  }
  const answer = await askEtcd(store, '/v3/kv/range', signal, { method: 'POST', body: { key: base64(path) } });
  if (answer.status !== 200 || answer.json === undefined) unsaid(store, `does not say what ${path} is`, answer);
  const [found] = (answer.json as { kvs?: { value?: string; mod_revision?: string }[] }).kvs ?? [];
  return found && { value: Buffer.from(found.value ?? '', 'base64').toString(), revision: String(found.mod_revision) };
}

/** Removes one key unless somebody has written it since that revision: false then. Rejects with `service.failed` where etcd does not say. */
export async function removeUnchanged(store: StoreKeys, key: string, revision: string, signal: AbortSignal): Promise<boolean> {
  const path = `${placeOf(store)}${key}`;
  if (store.api === 2) {
    const answer = await askEtcd(store, `/v2/keys${path}?prevIndex=${revision}`, signal, { method: 'DELETE' });
    if (isAbsent(answer) || answer.status === COMPARE_FAILED) return false;
    return answer.status === 200 || unsaid(store, `did not remove ${path}`, answer);
  }
  const compare = [{ key: base64(path), target: 'MOD', result: 'EQUAL', mod_revision: revision }];
  const body = { compare, success: [{ request_delete_range: { key: base64(path) } }] };
  const answer = await askEtcd(store, '/v3/kv/txn', signal, { method: 'POST', body });
  if (answer.status !== 200) unsaid(store, `did not remove ${path}`, answer);
  return (answer.json as { succeeded?: boolean } | undefined)?.succeeded === true;
}

/** Etcd's v2 API, "Error Codes": 101, with HTTP's 412. */
const COMPARE_FAILED = 412;

/** Removes everything that the store knows of the cluster; no member may run. Rejects with `service.failed` where it is still there. */
export async function forgetCluster(store: StoreKeys, signal: AbortSignal): Promise<void> {
  const prefix = placeOf(store);
  const body = { key: base64(prefix), range_end: base64(behind(prefix)) };
  const answer =
    store.api === 2
      ? await askEtcd(store, `/v2/keys${prefix.slice(0, -1)}?recursive=true`, signal, { method: 'DELETE' })
      : await askEtcd(store, '/v3/kv/deleterange', signal, { method: 'POST', body });
  if (answer.status !== 200 && !(store.api === 2 && isAbsent(answer))) unsaid(store, `did not remove ${prefix}`, answer);
}

/** "Key not found" (etcd's v2 API, "Error Codes"): an etcd that has no v2 API says 404, too. */
const isAbsent = ({ status, json }: EtcdAnswer): boolean =>
  status === 404 && (json as { errorCode?: number } | undefined)?.errorCode === 100;

/** An etcd without a leader answers 500 or 503: taken for an absent key, a restore would begin again from the start. */
function unsaid({ url }: StoreKeys, what: string, { status, json }: EtcdAnswer): never {
  const { error } = (json ?? {}) as { error?: unknown };
  const words = typeof error === 'string' ? `: ${error}` : '';
  throw new DbkitError('service.failed', `etcd at ${url} ${what} (${status})${words}`, { hint: hintFor(status) });
}

/** Version 3 says 400 where no name was given (rpctypes, ErrGRPCUserEmpty), and 403 where one may not do it. */
const hintFor = (status: number): string =>
  status === 400 || status === 401 || status === 403
    ? 'look at username and password of etcd3 in patroni.yml, and at what that user may do in etcd'
    : 'look at etcd’s log, then try again';
