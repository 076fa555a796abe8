import { constants } from 'node:fs';
import { access, chmod, chown, open, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { DbkitError, errnoOf, type Failure, failures, toFailure } from '../kernel/errors.ts';
import type { Files, LogEvent, Logger } from '../kernel/machine.ts';
import type { Control, ControlRequest } from './contract.ts';

const PATH_BYTES_MAX = 107; // sun_path of unix(7), less its final NUL.
const LINE_BYTES_MAX = 64 * 1024;

/** What is told to the asker as it happens, because it takes long. */
const longRequests: ReadonlySet<ControlRequest['command']> = new Set(['restore', 'recover']);
const PROGRESS_EVERY_MS = 100;

type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly failure: Failure };

/** `<stateDir>/control.sock`: how another shell asks the supervisor for something. One JSON line each way; owner and group may ask. */
export function createControl(
  stateDir: string,
  { files, log, taps }: { files: Files; log: Logger; taps: Set<(event: LogEvent) => void> },
  gid?: () => Promise<number | undefined>,
): Control {
  const path = join(stateDir, 'control.sock');
  return {
    async serve(handle) {
      if (await ask(path, { command: 'ping' }, log, new AbortController().signal).catch(() => undefined)) {
        throw new DbkitError('lock.held', `a dbkit supervisor is running already with the state directory ${stateDir}`, {
          hint: '`dbkit status` shows it, `dbkit down` stops it',
        });
      }
      const stopping = new AbortController();
      const server = createServer((socket) => void answer(socket, handle, stopping.signal, { log, taps }));
      let name: ShortName;
      try {
        await files.makeDirectory(stateDir, { mode: 0o755 });
        await rm(path, { force: true }); // Nobody answered: its owner is gone.
        name = await shortName(path);
        await new Promise<void>((resolve, reject) => server.once('error', reject).listen(name.path, resolve));
      } catch (cause) {
        if (cause instanceof DbkitError) throw cause;
        throw new DbkitError(
          errnoOf(cause) === 'EROFS' ? 'volume.read-only' : 'data.owner',
          `the state directory ${stateDir} is not writable (${errnoOf(cause)})`,
          {
            hint: 'set DBKIT_STATE_DIR to a folder that this user can write',
            cause,
          },
        );
      }
      await chmod(path, 0o660);
      const group = await gid?.();
      if (group !== undefined && process.getuid?.() === 0) await chown(path, 0, group);
      return {
        async close() {
          stopping.abort();
          await new Promise<void>((resolve) => server.close(() => resolve()));
          await name.close(); // Only now: the socket is removed by this name.
        },
      };
    },
    ask: (request, signal) => ask(path, request, log, signal),
  };
}

interface ShortName {
  readonly path: string;
  close(): Promise<void>;
}

/** `path` itself where it fits into sun_path, else the same file through its open folder, which Linux lists in /proc/self/fd. */
async function shortName(path: string): Promise<ShortName> {
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return { path, close: async () => undefined };
  const folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  const seen = `/proc/self/fd/${folder.fd}`;
  if (
    await access(seen).then(
      () => true,
      () => false,
    )
  )
    return { path: join(seen, basename(path)), close: () => folder.close() };
  await folder.close();
  throw new DbkitError('config.invalid', `the path of the control socket is too long for the system: ${path}`, {
    hint: 'set DBKIT_STATE_DIR to a shorter path',
  });
}

async function answer(
  socket: Socket,
  handle: Parameters<Control['serve']>[0],
  stopping: AbortSignal,
  { log, taps }: { log: Logger; taps: Set<(event: LogEvent) => void> },
): Promise<void> {
  const gone = new AbortController();
  socket.on('error', () => undefined); // Whoever asked is gone; what may not be left half-done goes on.
  socket.once('close', () => gone.abort());
  const tell = teller(socket);
  let reply: Reply;
  try {
    const request = JSON.parse(await firstLine(socket)) as ControlRequest;
    log.debug('control.request', `asked for ${request.command}`);
    if (longRequests.has(request.command)) taps.add(tell);
    socket.resume(); // Only a stream that is read notices its end.
    reply = { ok: true, value: (await handle(request, stopping, gone.signal)) ?? null };
  } catch (thrown) {
    reply = { ok: false, failure: toFailure(thrown) };
  } finally {
    taps.delete(tell);
  }
  socket.end(`${JSON.stringify(reply)}\n`);
}

/** Events as lines before the reply; progress only as often as an eye can follow. */
function teller(socket: Socket): (event: LogEvent) => void {
  let progressAt = 0;
  return (event) => {
    const atMs = event.at.getTime();
    if (event.level === 'progress' && atMs - progressAt < PROGRESS_EVERY_MS) return;
    if (event.level === 'progress') progressAt = atMs;
    if (socket.writable) socket.write(`${JSON.stringify({ event })}\n`);
  };
}

function retell(log: Logger, { level, event, message, fields }: LogEvent): void {
  if (level !== 'progress') log[level](event, message, fields);
  else log.progress(event, message, fields as unknown as Parameters<Logger['progress']>[2]);
}

/** Undefined when nobody listens there. */
async function ask(path: string, request: ControlRequest, log: Logger, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  const name = await shortName(path).catch((cause: unknown) => {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
  });
  if (name === undefined) return undefined; // Not even the folder is there.
  const socket = createConnection(name.path);
  const connected = await new Promise<boolean | NodeJS.ErrnoException>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', (cause: NodeJS.ErrnoException) =>
      resolve(cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED' ? false : cause),
    );
  });
  await name.close();
  if (connected === false) return undefined;
  if (connected !== true) {
    throw new DbkitError('control.unavailable', `the supervisor’s control socket does not let this user in: ${connected.message}`, {
      hint: 'run the command as the user that started dbkit, or as root',
      cause: connected,
    });
  }
  const abort = (): void => void socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    const reply = await lastLine(socket, (event) => retell(log, event));
    if (reply.ok) return reply.value;
    const { code, message, hint, changed } = reply.failure;
    throw new DbkitError(code in failures ? code : 'command.failed', message, { hint: hint ?? undefined, changed });
  } catch (cause) {
    signal.throwIfAborted();
    throw cause;
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
}

/** The one line of a request. */
async function firstLine(socket: Socket): Promise<string> {
  for await (const line of linesOf(socket, LINE_BYTES_MAX)) return line;
  throw cutShort();
}

/** The reply, after the events that come before it. */
async function lastLine(socket: Socket, tell: (event: LogEvent) => void): Promise<Reply> {
  for await (const line of linesOf(socket, Number.POSITIVE_INFINITY)) {
    const said = JSON.parse(line) as Reply | { readonly event: LogEvent };
    if (!('event' in said)) return said;
    tell(said.event);
  }
  throw cutShort();
}

async function* linesOf(socket: Socket, bytesMax: number): AsyncGenerator<string> {
  let text = '';
  for await (const chunk of socket.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    const lines = (text + (chunk as string)).split('\n');
    text = lines.pop()!;
    yield* lines;
    if (text.length > bytesMax) return;
  }
}

const cutShort = (): DbkitError =>
  new DbkitError('control.unavailable', 'the other end of the control socket went away in the middle', {
    hint: '`dbkit status` shows whether the supervisor still runs',
  });
