import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { within } from '../../kernel/deadline.ts';
import { DbkitError, wordsOf } from '../../kernel/errors.ts';
import type { Secret } from '../../kernel/secret.ts';

/** How an etcd is reached. */
export interface EtcdReach {
  /** 'https://10.0.0.1:2379', without a name and a password. */
  readonly url: string;
  /** Version of its protocol. */
  readonly api: 2 | 3;
  /** PEM: whom its certificate must be from (without it, one that Node.js knows), and what it is shown. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer } | undefined;
  readonly login?: { readonly username: string; readonly password: Secret } | undefined;
}

export interface EtcdAnswer {
  readonly status: number;
  /** undefined: the body is no object of JSON. */
  readonly json: unknown;
}

interface Wish {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: object;
}

const LIMIT_MS = 5_000;
/** Its answers are one key. A longer one is none of etcd's, and is not kept. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/** Asks as the user that is named, if any. Rejects with `service.failed` where etcd does not answer, or does not let that user in. */
export async function askEtcd(etcd: EtcdReach, path: string, signal: AbortSignal, wish: Wish = {}): Promise<EtcdAnswer> {
  return send(etcd, path, signal, { ...wish, ...(await authorizationFor(etcd, signal)) });
}

/** Version 2 takes the password with each request (RFC 7617); version 3 gives a token for it that lives for minutes. */
async function authorizationFor(etcd: EtcdReach, signal: AbortSignal): Promise<{ authorization?: string }> {
  const { api, login, url } = etcd;
  if (login === undefined) return {};
  const { username, password } = login;
  if (api === 2) return { authorization: `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}` };
  const body = { name: username, password: password.reveal() };
  const { status, json } = await send(etcd, '/v3/auth/authenticate', signal, { method: 'POST', body });
  const { token, error } = (json ?? {}) as { token?: unknown; error?: unknown };
  if (status === 200 && typeof token === 'string') return { authorization: token };
  if (status === 400 && String(error).includes(NOT_ENABLED)) return {}; // Then it lets everybody in; Patroni goes on, too.
  throw new DbkitError('service.failed', `etcd at ${url} does not let ${username} in (${status})`, {
    hint: 'check username and password of etcd3 in patroni.yml, or PATRONI_ETCD3_PASSWORD; nothing was changed',
  });
}

/** api/v3rpc/rpctypes/error.go, ErrGRPCAuthNotEnabled. */
const NOT_ENABLED = 'authentication is not enabled';

async function send(
  { url, tls }: EtcdReach,
  path: string,
  signal: AbortSignal,
  { method = 'GET', body, authorization }: Wish & { readonly authorization?: string },
): Promise<EtcdAnswer> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    ...(authorization === undefined ? {} : { authorization }),
  };
  try {
    return await within([signal], LIMIT_MS, async (bounded) => {
      const options: RequestOptions = { method, headers, agent: false, signal: bounded };
      const { request } = await import('node:http'); // `fetch` takes no certificates of one's own.
      const { request: secureRequest } = await import('node:https');
      const to = new URL(path, url);
      const sent = to.protocol === 'https:' ? secureRequest(to, { ...options, ...tls }) : request(to, options);
      const response = await answerTo(sent, text);
      const said = await textOf(response);
      return { status: response.statusCode ?? 0, json: said.startsWith('{') ? (JSON.parse(said) as unknown) : undefined };
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw new DbkitError('service.failed', `etcd at ${url} does not answer: ${wordsOf(cause)}`, { hint: hintFor(cause), cause });
  }
}

const answerTo = (sent: ClientRequest, text: string | undefined): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    sent.once('response', resolve);
    sent.once('error', reject);
    sent.end(text);
  });

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > ANSWER_BYTES_MAX) throw new Error(`its answer is longer than ${ANSWER_BYTES_MAX / 1024} KiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** OpenSSL's verdicts on a certificate, as Node.js names them (its documentation, "X509 certificate error codes"), and on a file of one. */
const MISTRUSTED = /CERT|ISSUER|SIGNED|SIGNATURE|CRL|INVALID_CA|HOSTNAME_MISMATCH|PEM/;

const hintFor = (cause: unknown): string =>
  MISTRUSTED.test(String((cause as { readonly code?: unknown } | undefined)?.code ?? ''))
    ? 'compare cacert, cert, key and the host in patroni.yml (etcd3) with etcd’s certificate; nothing was changed'
    : 'start etcd first, then try again';
