import { within } from '../../kernel/deadline.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';

/** An etcd, and the cluster's place in it. */
export interface StoreKeys {
  /** 'http://127.0.0.1:2379'. */
  readonly url: string;
  /** Version of its protocol. */
  readonly api: 2 | 3;
  readonly scope: string;
}

const LIMIT_MS = 5_000;
/** Patroni's default namespace. */
const placeOf = (scope: string): string => `/service/${scope}/`;
const base64 = (text: string): string => Buffer.from(text).toString('base64');
/** Every key that begins so: up to the next string of that length (etcd's API guide, "Key ranges"). */
const behind = (prefix: string): string => `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;

interface Answer {
  readonly status: number;
  /** undefined: the body is no object of JSON. */
  readonly json: unknown;
}

async function ask({ url }: StoreKeys, path: string, signal: AbortSignal, init: RequestInit = {}): Promise<Answer> {
  try {
    return await within([signal], LIMIT_MS, async (bounded) => {
      const response = await fetch(`${url}${path}`, { ...init, redirect: 'error', signal: bounded });
      const text = await response.text();
      return { status: response.status, json: text.startsWith('{') ? (JSON.parse(text) as unknown) : undefined };
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw new DbkitError('service.failed', `etcd at ${url} does not answer: ${wordsOf(cause)}`, {
      hint: 'start etcd first, then try again',
      cause,
    });
  }
}

/** The value of one key of the cluster's; undefined: etcd says that it is not there. Rejects with `service.failed` where etcd does not say. */
export async function storeValue(store: StoreKeys, key: string, signal: AbortSignal): Promise<string | undefined> {
  const path = `${placeOf(store.scope)}${key}`;
  if (store.api === 2) {
    const answer = await ask(store, `/v2/keys${path}`, signal);
    if (isAbsent(answer)) return undefined;
    const value = (answer.json as { node?: { value?: string } } | undefined)?.node?.value;
    return answer.status === 200 && value !== undefined ? value : unsaid(store, `does not say what ${path} is`, answer);
  }
  const answer = await ask(store, '/v3/kv/range', signal, { method: 'POST', body: JSON.stringify({ key: base64(path) }) });
  if (answer.status !== 200 || answer.json === undefined) unsaid(store, `does not say what ${path} is`, answer);
  const [found] = (answer.json as { kvs?: { value?: string }[] }).kvs ?? [];
  return found && Buffer.from(found.value ?? '', 'base64').toString();
}

/** Removes everything that the store knows of the cluster; no member may run. Rejects with `service.failed` where it is still there. */
export async function forgetCluster(store: StoreKeys, signal: AbortSignal): Promise<void> {
  const prefix = placeOf(store.scope);
  const body = JSON.stringify({ key: base64(prefix), range_end: base64(behind(prefix)) });
  const answer =
    store.api === 2
      ? await ask(store, `/v2/keys${prefix.slice(0, -1)}?recursive=true`, signal, { method: 'DELETE' })
      : await ask(store, '/v3/kv/deleterange', signal, { method: 'POST', body });
  if (answer.status !== 200 && !(store.api === 2 && isAbsent(answer))) unsaid(store, `did not remove ${prefix}`, answer);
}

/** "Key not found" (etcd's v2 API, "Error Codes"): an etcd that has no v2 API says 404, too. */
const isAbsent = ({ status, json }: Answer): boolean => status === 404 && (json as { errorCode?: number } | undefined)?.errorCode === 100;

/** An etcd without a leader answers 500 or 503: taken for an absent key, a restore would begin again from the start. */
function unsaid({ url }: StoreKeys, what: string, { status }: Answer): never {
  throw new DbkitError('service.failed', `etcd at ${url} ${what} (${status})`, { hint: 'look at etcd’s log, then try again' });
}
