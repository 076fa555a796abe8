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

async function ask(
  { url }: StoreKeys,
  path: string,
  signal: AbortSignal,
  init: RequestInit = {},
): Promise<{ status: number; json: unknown }> {
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

/** The value of one key of the cluster's; undefined: it is not there. Rejects with `service.failed` where etcd does not answer. */
export async function storeValue(store: StoreKeys, key: string, signal: AbortSignal): Promise<string | undefined> {
  const path = `${placeOf(store.scope)}${key}`;
  if (store.api === 2) {
    const { status, json } = await ask(store, `/v2/keys${path}`, signal);
    return status === 200 ? (json as { node: { value?: string } }).node.value : undefined;
  }
  const { json } = await ask(store, '/v3/kv/range', signal, { method: 'POST', body: JSON.stringify({ key: base64(path) }) });
  const [found] = (json as { kvs?: { value?: string }[] } | undefined)?.kvs ?? [];
  return found && Buffer.from(found.value ?? '', 'base64').toString();
}

/** Removes everything that the store knows of the cluster; no member may run. Rejects with `service.failed` where it is still there. */
export async function forgetCluster(store: StoreKeys, signal: AbortSignal): Promise<void> {
  const prefix = placeOf(store.scope);
  if (store.api === 2) {
    const { status } = await ask(store, `/v2/keys${prefix.slice(0, -1)}?recursive=true`, signal, { method: 'DELETE' });
    if (status === 200 || status === 404) return;
    throw new DbkitError('service.failed', `etcd at ${store.url} did not remove ${prefix} (${status})`, {
      hint: 'look at etcd’s log, then try again',
    });
  }
  const body = JSON.stringify({ key: base64(prefix), range_end: base64(behind(prefix)) });
  const { status } = await ask(store, '/v3/kv/deleterange', signal, { method: 'POST', body });
  if (status !== 200)
    throw new DbkitError('service.failed', `etcd at ${store.url} did not remove ${prefix} (${status})`, {
      hint: 'look at etcd’s log, then try again',
    });
}
