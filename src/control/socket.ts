import { chmod, chown, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { DbkitError, errnoOf, type FailureCode, failures, toFailure } from '../kernel/errors.ts';
import type { Files, LogEvent, Logger } from '../kernel/machine.ts';
import { redact } from '../kernel/redact.ts';
import { limitedServer } from '../machine/http-limits.ts';
import { type ShortName, shortName } from '../machine/socket-path.ts';
import { askControl } from './client.ts';
import type { Control, ControlRequest } from './contract.ts';
import { type ControlCommand, type ControlReply, type ControlTarget, isCommand, parseRequest, refuseOther } from './requests.ts';

const BODY_BYTES_MAX = 64 * 1024;
const LIMITS = { clientsMax: 64, requestMs: 5_000 };
/** For the answer to whoever asked for the stop; nobody else can hold it up. */
const FAREWELL_MS = 1_000;
const PROGRESS_EVERY_MS = 100;

/** Events for the asker as it happens, because it takes long. */
const longCommands: ReadonlySet<ControlCommand> = new Set(['restore', 'recover', 'upgrade']);
/** Changes nothing, so that `curl --unix-socket control.sock http://dbkit/status` may ask it of any supervisor. */
const readings: ReadonlySet<ControlCommand> = new Set(['ping', 'status']);

/** A supervisor lives there: for other data, or frozen. */
const alive: ReadonlySet<FailureCode> = new Set(['control.elsewhere', 'control.silent']);

interface Means {
  readonly handle: Parameters<Control['serve']>[0];
  readonly stopping: AbortSignal;
  readonly target: () => Promise<ControlTarget>;
  readonly log: Logger;
  readonly taps: Set<(event: LogEvent) => void>;
}

/**
 * `<stateDir>/control.sock`: how another shell asks the supervisor for something, over HTTP. `POST /COMMAND` with a JSON object; the answer is
 * lines of JSON, log events first where it takes long, the reply last. Owner and group may ask.
 */
export function createControl(
  stateDir: string,
  { files, log, taps, target }: { files: Files } & Pick<Means, 'log' | 'taps' | 'target'>,
  gid?: () => Promise<number | undefined>,
): Control {
  const path = join(stateDir, 'control.sock');
  const ask: Control['ask'] = async (request, signal) => askControl(path, { request, target: await target() }, log, signal);
  return {
    async serve(handle) {
      const isAnswered = await ask({ command: 'ping' }, new AbortController().signal).catch((cause: unknown) =>
        cause instanceof DbkitError && alive.has(cause.code) ? cause : undefined,
      );
      if (isAnswered instanceof DbkitError) throw isAnswered;
      if (isAnswered !== undefined) throw runsAlready(stateDir);
      const stopping = new AbortController();
      const means = { handle, stopping: stopping.signal, target, log, taps };
      const { server, close } = await limitedServer(LIMITS, (request, response) => void answer(request, response, means));
      let name: ShortName;
      try {
        await files.ownDirectory(stateDir, { mode: 0o755 });
        await rm(path, { force: true }); // Nobody answered: its owner is gone.
        name = await shortName(path);
        await new Promise<void>((resolve, reject) => server.once('error', reject).listen(name.path, resolve));
      } catch (cause) {
        throw cause instanceof DbkitError ? cause : unwritable(stateDir, cause);
      }
      server.on('error', (cause) => log.warn('control.failed', `a client of the control socket was refused: ${cause.message}`)); // EMFILE.
      await chmod(path, 0o660);
      const group = await gid?.();
      if (group !== undefined && process.geteuid?.() === 0) await chown(path, 0, group);
      return {
        async close() {
          stopping.abort();
          await close(FAREWELL_MS);
          await name.close(); // Only now: the socket is removed by this name.
        },
      };
    },
    ask,
  };
}

const runsAlready = (stateDir: string): DbkitError =>
  new DbkitError('lock.held', `a dbkit supervisor is running already with the state directory ${stateDir}`, {
    hint: '`dbkit status` shows it, `dbkit down` stops it',
  });

const unwritable = (stateDir: string, cause: unknown): DbkitError =>
  new DbkitError(
    errnoOf(cause) === 'EROFS' ? 'volume.read-only' : 'data.owner',
    `the state directory ${stateDir} is not writable (${errnoOf(cause)})`,
    { hint: 'set DBKIT_STATE_DIR to a folder that this user can write', cause },
  );

/** Never rejects: whatever a client sends, the supervisor lives on. */
async function answer(request: IncomingMessage, response: ServerResponse, { handle, stopping, target, log, taps }: Means): Promise<void> {
  const gone = new AbortController();
  response.on('error', () => undefined); // Whoever asked is gone; what may not be left half-done goes on.
  response.once('close', () => gone.abort());
  const begin = (status: number): void => {
    if (!response.headersSent) response.writeHead(status, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  };
  const tell = teller(response, begin);
  let reply: ControlReply;
  try {
    const asked = await understood(request, target);
    log.debug('control.request', `asked for ${asked.command}`);
    if (longCommands.has(asked.command)) taps.add(tell);
    reply = { ok: true, value: (await handle(asked, stopping, gone.signal)) ?? null };
    begin(200);
  } catch (thrown) {
    reply = { ok: false, failure: toFailure(thrown) };
    begin(statusOf(reply.failure.code));
  } finally {
    taps.delete(tell);
  }
  response.end(redact(`${JSON.stringify(reply)}\n`));
}

/** Rejects with `usage.invalid` for what nobody understands, and with `control.elsewhere` for what is about other data. */
async function understood(request: IncomingMessage, target: Means['target']): Promise<ControlRequest> {
  const name = new URL(request.url ?? '/', 'http://dbkit').pathname.slice(1);
  if (!isCommand(name)) throw new DbkitError('usage.invalid', `there is no command '${name.slice(0, 100)}' on the control socket`);
  if (request.method === 'GET' && readings.has(name)) return { command: name } as ControlRequest;
  if (request.method !== 'POST') throw new DbkitError('usage.invalid', `${name} takes POST, not ${request.method}`);
  const asked = parseRequest(name, parsed(await bodyOf(request)));
  refuseOther(asked.target, await target());
  return asked.request;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new DbkitError('usage.invalid', `a request has ${BODY_BYTES_MAX} bytes at most`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DbkitError('usage.invalid', 'the request is not JSON');
  }
}

/** HTTP's word for a failure, for curl and for proxies; the failure itself is in the body. */
function statusOf(code: FailureCode): number {
  const statuses: Readonly<Record<number, number>> = { 2: 400, 75: 409, 77: 403, 69: 503, 70: 500 };
  return statuses[failures[code].exit] ?? 422;
}

/** Events as lines before the reply; progress only as often as an eye can follow. */
function teller(response: ServerResponse, begin: (status: number) => void): (event: LogEvent) => void {
  let progressAt = 0;
  return (event) => {
    const atMs = event.at.getTime();
    if (event.level === 'progress' && atMs - progressAt < PROGRESS_EVERY_MS) return;
    if (event.level === 'progress') progressAt = atMs;
    begin(200);
    if (response.writable) response.write(redact(`${JSON.stringify({ event })}\n`));
  };
}
