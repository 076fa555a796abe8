import { within } from '../kernel/deadline.ts';

/** The request of a channel: the answer must be a 2xx. */
export interface Post {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body: object | string;
}

const TIMEOUT_MS = 10_000;
const ANSWER_CHARACTERS_MAX = 64 * 1024;

/** An answer that is no success; `retryAfterMs`: how long the other side wants to be left alone, where it says so. */
export class Unaccepted extends Error {
  readonly retryAfterMs: number | undefined;
  constructor(message: string, retryAfterMs: number | undefined) {
    super(message);
    this.name = 'Unaccepted';
    this.retryAfterMs = retryAfterMs;
  }
}

/** Rejects with the status and the first words of the answer; never with the URL, which is often the secret. */
export async function post({ url, headers = {}, body }: Post, signal: AbortSignal): Promise<void> {
  const isJson = typeof body !== 'string';
  const type: Readonly<Record<string, string>> = isJson ? { 'content-type': 'application/json' } : {};
  await ask(url, { method: 'POST', headers: { ...type, ...headers }, body: isJson ? JSON.stringify(body) : body }, signal);
}

/** A GET whose answer says nothing but that somebody counts. */
export const ping = async (url: string, signal: AbortSignal): Promise<void> => void (await ask(url, { method: 'GET' }, signal));

export const getJson = async (url: string, signal: AbortSignal): Promise<unknown> => JSON.parse(await ask(url, { method: 'GET' }, signal));

/** The body of a success. An endpoint that takes the connection and says nothing, or says it drop by drop, has ten seconds in all. */
async function ask(
  url: string,
  request: { method: string; headers?: Record<string, string>; body?: string },
  signal: AbortSignal,
): Promise<string> {
  const answer = await within([signal], TIMEOUT_MS, async (bounded) => {
    const response = await fetch(url, { ...request, signal: bounded, redirect: 'error' });
    return { ok: response.ok, status: response.status, headers: response.headers, text: await beginningOf(response) };
  }).catch((cause: unknown) => {
    signal.throwIfAborted();
    const { code, message } = (cause as { cause?: { code?: string; message?: string } }).cause ?? {};
    throw new Error(`no answer: ${code ?? message ?? (cause instanceof Error ? cause.name : 'unknown')}`);
  });
  if (answer.ok) return answer.text;
  throw new Unaccepted(
    `the answer was ${answer.status}: ${answer.text.slice(0, 200)}`,
    retryAfterMs(answer.headers.get('retry-after'), answer.text),
  );
}

/** The other end decides how much it sends, not how much is kept of it. */
async function beginningOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  if (response.body === null) return text;
  for await (const chunk of response.body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length >= ANSWER_CHARACTERS_MAX) break;
  }
  return text;
}

/** Seconds in the header (RFC 9110, 10.2.3) or in the body (`retry_after` of Discord's and Telegram's "Rate Limits"). */
function retryAfterMs(header: string | null, body: string): number | undefined {
  const said = /"retry_after"\s*:\s*([\d.]+)/.exec(body)?.[1] ?? (header !== null && /^\d+$/.test(header.trim()) ? header : undefined);
  const seconds = said === undefined ? Number.NaN : Number(said);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}
