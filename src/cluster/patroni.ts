import { within } from '../kernel/deadline.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Member } from './members.ts';

/** An answer of Patroni's REST API. Its status proves little (503 "status unknown" while it goes on): what counts is looked up afterwards. */
export interface Answer {
  /** null: no answer came. */
  readonly status: number | null;
  /** undefined: the body is no JSON. Probes answer 503 with the same document as 200. */
  readonly json: unknown;
  /** The first words of the body, or why no answer came. */
  readonly text: string;
  /** When the member sent it, by its own clock (HTTP's Date); null where it does not say. */
  readonly sentAt: Date | null;
}

export interface Wish {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly body?: object;
  /** Default: 2 s. A switchover is answered when it is over. */
  readonly timeoutMs?: number;
}

/** Never rejects but for the signal: silence is an answer too. */
export type AskPatroni = (member: Pick<Member, 'api'>, path: string, signal: AbortSignal, wish?: Wish) => Promise<Answer>;

const TIMEOUT_MS = 2_000;
/** Its longest answers, histories and settings, are some KiB. A longer one is none of Patroni's, and is not kept. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/** `authorization`: the header's value where the API asks for one; only requests that change something need it. */
export const createPatroni =
  (authorization: string | undefined): AskPatroni =>
  async ({ api }, path, signal, { method = 'GET', body, timeoutMs = TIMEOUT_MS } = {}) => {
    const headers = {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(authorization === undefined ? {} : { authorization }),
    };
    const request = { method, headers, redirect: 'error' as const, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    try {
      return await within([signal], timeoutMs, async (bounded) => {
        const response = await fetch(`${api}${path}`, { ...request, signal: bounded });
        const text = await textOf(response);
        if (text === undefined) return { status: response.status, json: undefined, text: TOO_LONG, sentAt: dateOf(response) };
        return { status: response.status, json: parsed(text), text: text.slice(0, 300).trim(), sentAt: dateOf(response) };
      });
    } catch (cause) {
      signal.throwIfAborted();
      return { status: null, json: undefined, text: whyNoAnswer(cause), sentAt: null };
    }
  };

const TOO_LONG = `the answer is longer than ${ANSWER_BYTES_MAX / 1024} KiB, so it is not Patroni's`;

/** undefined: it is longer than it may be, and the rest was not read. */
async function textOf({ body }: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > ANSWER_BYTES_MAX) return undefined; // Leaving the loop cancels the stream.
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Refusals are plain text, or a page of HTML.
  }
}

function dateOf(response: Response): Date | null {
  const at = new Date(response.headers.get('date') ?? '');
  return Number.isNaN(at.getTime()) ? null : at;
}

function whyNoAnswer(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.name === 'TimeoutError') return cause.message;
  const { code, message } = (cause.cause ?? {}) as { readonly code?: string; readonly message?: string };
  return code ?? message ?? cause.message;
}

const MOVE_MS = 45_000;

/** Asks for another leader, once. Rejects with `service.failed` for a refusal; every other answer, and none, leaves it open what happens. */
export async function askToMove(
  ask: AskPatroni,
  member: Pick<Member, 'api'>,
  path: '/switchover' | '/failover',
  body: object,
  signal: AbortSignal,
): Promise<void> {
  const { status, text } = await ask(member, path, signal, { method: 'POST', body, timeoutMs: MOVE_MS });
  if (status !== null && status >= 400 && status < 500)
    throw new DbkitError('service.failed', `Patroni refused (${status}): ${text}`, { hint: 'check what has changed: `dbkit ha status`' });
}

/** The header of HTTP's basic authentication (RFC 7617). */
export const basic = (username: string, password: string): string => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
