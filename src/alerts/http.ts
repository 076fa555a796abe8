/** What a channel sends: the answer must be a 2xx. */
export interface Post {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body: object | string;
}

const TIMEOUT_MS = 10_000;

/** Rejects with the status and the first words of the answer; never with the URL, which is often the secret. */
export async function post({ url, headers = {}, body }: Post, signal: AbortSignal): Promise<void> {
  const isJson = typeof body !== 'string';
  const type = isJson ? { 'content-type': 'application/json' } : {};
  await ask(url, { method: 'POST', headers: { ...type, ...headers }, body: isJson ? JSON.stringify(body) : body }, signal);
}

/** A GET whose answer says nothing but that somebody counts. */
export const ping = async (url: string, signal: AbortSignal): Promise<void> => void (await ask(url, { method: 'GET' }, signal));

export const getJson = async (url: string, signal: AbortSignal): Promise<unknown> => (await ask(url, { method: 'GET' }, signal)).json();

async function ask(
  url: string,
  request: { method: string; headers?: Record<string, string>; body?: string },
  signal: AbortSignal,
): Promise<Response> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const answer = await fetch(url, { ...request, signal: bounded, redirect: 'error' }).catch((cause: unknown) => {
    signal.throwIfAborted();
    const { code, message } = (cause as { cause?: { code?: string; message?: string } }).cause ?? {};
    throw new Error(`no answer: ${code ?? message ?? (cause instanceof Error ? cause.name : 'unknown')}`);
  });
  if (!answer.ok) throw new Error(`the answer was ${answer.status}: ${(await answer.text().catch(() => '')).slice(0, 200)}`);
  return answer;
}
