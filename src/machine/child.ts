import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import type { Child, ExitReason, Owner, SpawnChild } from '../kernel/machine.ts';
import { openToAppend } from './hand-over.ts';
import { actingAs, asCaller, asRootsUser } from './privileges.ts';

/** Only root can become somebody else, and only then the ids are handed to spawn: libuv also clears the supplementary groups. */
export const identityOf = (as: Owner | undefined): { uid?: number; gid?: number } =>
  as && process.getuid?.() === 0 && as.uid !== 0 ? { uid: as.uid, gid: as.gid } : {};

/** Starts a long-lived program. Its output goes to the terminal or is appended to a file, never through dbkit: it survives dbkit's end. */
export const spawnChild: SpawnChild = async ({ file, args, env, cwd, as, output, newSession, outlivesDbkit = false, lock }) => {
  if (file === '') throw new DbkitError('usage.invalid', 'the command is empty', { hint: 'name a program after --' });
  const log = typeof output === 'string' ? undefined : openLog(output.appendTo);
  try {
    const streams =
      log === undefined ? (['inherit', output === 'stderr' ? 2 : 'inherit', 'inherit'] as const) : (['ignore', log, log] as const);
    const identity = identityOf(as);
    const begin = identity.uid === undefined ? asCaller : asRootsUser;
    const child = begin(() =>
      spawn(file, [...args], {
        env,
        ...(cwd === undefined ? {} : { cwd }),
        ...identity,
        detached: newSession, // setsid(2): a terminal's Ctrl-C does not reach it.
        stdio: lock ? [...streams, lock.fd] : [...streams],
      }),
    );
    const exited = new Promise<ExitReason>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) => reject(cannotStart(file, env['PATH'], cause)));
    });
    if (outlivesDbkit) child.unref(); // Else the event loop would wait for its end.
    child.on('error', () => undefined); // A signal that could not be sent is no reason to end dbkit.
    return { pid: child.pid!, exited, kill: (signal) => void asCaller(() => child.kill(signal)) } satisfies Child;
  } finally {
    if (log !== undefined) closeSync(log);
  }
};

function openLog(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  } catch {
    // What stands in the way is said when the file is opened.
  }
  try {
    return openToAppend(path, 0o640);
  } catch (cause) {
    throw new DbkitError('data.owner', `the log ${path} cannot be written (${errnoOf(cause)})`, {
      hint: 'set LOG_DIR to a directory that this user may write to',
      cause,
    });
  }
}

function cannotStart(file: string, path: string | undefined, cause: unknown): DbkitError {
  // A folder of PATH that may not be searched answers EACCES too, for a program that is nowhere (execvp(3)).
  const isThere = file.includes('/') || (path ?? '').split(':').some((directory) => existsSync(`${directory}/${file}`));
  if (errnoOf(cause) === 'ENOENT' || (errnoOf(cause) === 'EACCES' && !isThere))
    return new DbkitError('program.missing', `there is no program '${file}'`, { hint: 'check its name and PATH', cause });
  if (errnoOf(cause) === 'EACCES')
    return new DbkitError('program.unusable', `'${file}' cannot be run`, { hint: 'it is a directory, or not executable: chmod +x', cause });
  return new DbkitError('tool.failed', `${file} cannot be started: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

/** The statuses of a program that was not run: it may not be, or a part of it is missing (env(1)). */
const unrunnable: readonly (number | 'missing')[] = ['missing', 126, 127];

/**
 * Runs `file` with this environment, one inherited descriptor as fd 3 and nothing else; resolves with its exit status, or 'missing' where there is no
 * such program. It is ended when `signal` fires, and its status is then 1. Rejects with the errno of a machine that has no process to give. The descriptor
 * is open already, so it runs as whom dbkit acts as; one that only the caller can run is run as the caller.
 */
export async function runWithDescriptor(file: string, args: readonly string[], given: Descriptor): Promise<number | 'missing'> {
  const status = await runOnce(() => spawn(file, [...args], optionsOf(given)), given.signal);
  return unrunnable.includes(status) && actingAs() !== undefined
    ? runOnce(() => asCaller(() => spawn(file, [...args], optionsOf(given))), given.signal)
    : status;
}

interface Descriptor {
  readonly fd: number;
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const optionsOf = ({ fd, env }: Descriptor): SpawnOptions => ({ stdio: ['ignore', 'ignore', 'ignore', fd], env });

function runOnce(begin: () => ChildProcess, signal: AbortSignal | undefined): Promise<number | 'missing'> {
  return new Promise((resolve, reject) => {
    const child = begin();
    const end = (): void => void asCaller(() => child.kill('SIGKILL'));
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
    child.once('close', () => signal?.removeEventListener('abort', end));
    child.once('error', (cause) => (['ENOENT', 'EACCES'].includes(errnoOf(cause) ?? '') ? resolve('missing') : reject(cause)));
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** A program of dbkit's own in a process of its own, with which messages are exchanged. */
export interface ForkedProgram {
  readonly exited: Promise<ExitReason>;
  /** A message that cannot be sent any more is dropped: its end is told by `exited`. */
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** It is told by the end of the line, and ends by itself. */
  end(): void;
}

/** Its stderr is dbkit's own; it has no descriptor of dbkit's beyond that and the line between them. */
export function forkProgram(script: string): ForkedProgram {
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: {} });
  const exited = new Promise<ExitReason>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null })); // It could not be begun.
  });
  return {
    exited,
    send: (message) => void (child.connected && child.send(message as object, () => undefined)),
    onMessage: (listener) => void child.on('message', listener),
    end: () => {
      if (child.connected) child.disconnect();
    },
  };
}
