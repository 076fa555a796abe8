import { lstat } from 'node:fs/promises';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { bound } from '../kernel/deadline.ts';
import { DbkitError, errnoOf, failures } from '../kernel/errors.ts';
import type { LogEvent, Logger } from '../kernel/machine.ts';
import { shortName } from '../machine/socket-path.ts';
import type { ControlRequest } from './contract.ts';
import type { AskedRequest, ControlReply } from './requests.ts';

/** A supervisor that lives answers these at once; one that is frozen must not freeze whoever asks. */
const QUICK_MS = 10_000;
const quick: ReadonlySet<ControlRequest['command']> = new Set(['ping', 'status']);

/** Undefined when nobody listens there. Rejects with the supervisor's own failure, or `control.unavailable`. */
export async function askControl(path: string, asked: AskedRequest, log: Logger, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  const name = await shortName(path).catch((cause: unknown) => {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
  });
  if (name === undefined) return undefined; // Not even the folder is there.
  if (await isGone(name.path)) {
    await name.close();
    return undefined; // Each boot asks first: without a supervisor nothing of HTTP need be loaded for that.
  }
  const limit = bound([signal], quick.has(asked.request.command) ? QUICK_MS : undefined);
  try {
    const response = await send(name.path, asked, limit.signal);
    if (response === undefined) return undefined;
    const reply = await lastLine(response, (event) => retell(log, event));
    if (reply.ok) return reply.value;
    const { code, message, hint, changed } = reply.failure;
    throw new DbkitError(code in failures ? code : 'command.failed', message, { hint: hint ?? undefined, changed });
  } catch (cause) {
    signal.throwIfAborted();
    if (!limit.isLate()) throw cause;
    throw new DbkitError('control.silent', `the supervisor does not answer within ${QUICK_MS / 1000} s`, {
      hint: 'check whether its process is stopped (state T in `ps`), or the machine is very busy',
    });
  } finally {
    limit.release();
    await name.close();
  }
}

const isGone = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => false,
    (cause: unknown) => errnoOf(cause) === 'ENOENT', // What keeps dbkit from looking keeps it from asking too, and is told then.
  );

/** Undefined when nobody listens. */
async function send(
  socketPath: string,
  { request: { command, ...rest }, target }: AskedRequest,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  const body = JSON.stringify({ target, ...rest });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const { request: httpRequest } = await import('node:http'); // Only those who ask pay for it.
  const sent: ClientRequest = httpRequest({ socketPath, path: `/${command}`, method: 'POST', headers, agent: false, signal });
  try {
    return await new Promise<IncomingMessage>((resolve, reject) => {
      sent.once('response', resolve);
      sent.once('error', reject);
      sent.end(body);
    });
  } catch (cause) {
    signal.throwIfAborted();
    const errno = errnoOf(cause);
    if (errno === 'ENOENT' || errno === 'ECONNREFUSED') return undefined;
    if (errno === 'ECONNRESET' || errno === 'EPIPE') throw cutShort();
    const isDenied = errno === 'EACCES' || errno === 'EPERM';
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new DbkitError(
      'control.unavailable',
      `the supervisor’s control socket ${isDenied ? 'does not let this user in' : 'cannot be asked'}: ${words}`,
      {
        hint: isDenied
          ? 'run the command as the user that started dbkit, or as root'
          : '`dbkit status` shows whether the supervisor still runs',
        cause,
      },
    );
  }
}

/** No report is longer, and whoever listens may say without end. */
const LINE_MAX = 64 * 1024 * 1024;

/** The reply, after the events that come before it. */
async function lastLine(response: IncomingMessage, tell: (event: LogEvent) => void): Promise<ControlReply> {
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      const lines = (text + (chunk as string)).split('\n');
      text = lines.pop()!;
      if (text.length > LINE_MAX) throw cutShort();
      for (const line of lines) {
        const said = JSON.parse(line) as ControlReply | { readonly event: LogEvent };
        if (!('event' in said)) return said;
        tell(said.event);
      }
    }
  } catch (cause) {
    if (errnoOf(cause) !== 'ECONNRESET' && !(cause instanceof SyntaxError)) throw cause;
  }
  throw cutShort();
}

function retell(log: Logger, { level, event, message, fields }: LogEvent): void {
  if (level !== 'progress') log[level](event, message, fields);
  else log.progress(event, message, fields as unknown as Parameters<Logger['progress']>[2]);
}

const cutShort = (): DbkitError =>
  new DbkitError('control.unavailable', 'the control socket was closed in the middle of an answer', {
    hint: '`dbkit status` shows whether the supervisor still runs',
  });
