import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { SupervisorStatus } from '../../src/control/status.ts';
import type { InspectionReport } from '../../src/inspection/report.ts';
import type { RecoveryReport } from '../../src/recovery/report.ts';
import type { Person } from './as-user.ts';
import type { Instance } from './instance.ts';
import { until } from './processes.ts';

/** The program under test: the built one of this checkout, or the one that DBKIT_BIN names (an installed package). */
export const program = process.env['DBKIT_BIN'] ?? fileURLToPath(new URL('../../bin/dbkit.js', import.meta.url));

/** How a run ended and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A dbkit in the background. */
export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** What it has said on stderr so far. */
  words(): string;
  /** SIGTERM, or another signal; waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

export interface RunOptions {
  /** Overrides; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly as?: Person;
  /** A program and its arguments that dbkit is started through. */
  readonly through?: readonly string[];
}

/** Less than a test has (vitest.config.ts): a supervisor lives as long as its test, and on a busy machine that is minutes. */
const PATIENCE_MS = 280_000;

/** Starts `dbkit ARGS…` with the instance's environment. */
export function start(instance: Instance, args: readonly string[], { env = {}, as, through = [] }: RunOptions = {}): Running {
  const [file, ...rest] = [...through, process.execPath, program, ...args];
  const child = spawn(file!, rest, {
    cwd: instance.root,
    env: { ...instance.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...as,
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
  const ended = endOf(child, said);
  return {
    pid: child.pid!,
    ended,
    words: () => said.stderr,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
}

async function endOf(child: ChildProcess, said: { stdout: string; stderr: string }): Promise<Ended> {
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS); // A run that hangs fails its test with what it said.
  const closed = once(child, 'close');
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  await Promise.race([closed, sleep(500)]); // What it left behind after a kill may keep the pipe open.
  return { code, signal, ...said };
}

/** Runs `dbkit ARGS…` to its end. */
export const run = (instance: Instance, args: readonly string[], options?: RunOptions): Promise<Ended> =>
  start(instance, args, options).ended;

/** `dbkit entrypoint`, ready. Rejects with everything it said when it ends instead. */
export async function boot(instance: Instance, options: RunOptions & { readonly args?: readonly string[] } = {}): Promise<Running> {
  const running = start(instance, ['entrypoint', ...(options.args ?? [])], options);
  let ended: Ended | undefined;
  void running.ended.then((end) => {
    ended = end;
  });
  const isReady = async (): Promise<boolean> => {
    if (ended) throw new Error(`dbkit ended with ${ended.code ?? ended.signal} instead of becoming ready:\n${ended.stdout}${ended.stderr}`);
    const status = await readStatus(instance).catch(unlessBroken); // Until dbkit writes its own, there may be what a harm has left.
    return status?.pid === running.pid && status.readyAt !== null && existsSync(join(instance.stateDir, 'ready'));
  };
  await until(isReady, () => `dbkit does not become ready:\n${running.words()}`);
  return running;
}

function unlessBroken(cause: unknown): undefined {
  if (!(cause instanceof SyntaxError)) throw cause;
}

/** What the supervisor publishes; undefined before it has. */
export const readStatus = (instance: Instance): Promise<SupervisorStatus | undefined> => readReport(join(instance.stateDir, 'status.json'));

/** What the last boot that had to do something about the data has reported. */
export async function readRecovery(instance: Instance): Promise<RecoveryReport | undefined> {
  const directory = join(instance.stateDir, 'recoveries');
  const names = await readdir(directory).catch(() => [] as string[]);
  return names.length === 0 ? undefined : readReport(join(directory, names.sort().at(-1)!));
}

async function readReport<T>(path: string): Promise<T | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

/** `dbkit inspect --json`: the report of a run that could look; its exit status says whether it found something. */
export async function inspect(
  instance: Instance,
  flags: readonly string[] = [],
  options?: RunOptions,
): Promise<InspectionReport & { readonly exit: number | null }> {
  const { code, stdout, stderr } = await run(instance, ['inspect', '--json', ...flags], options);
  const document = JSON.parse(stdout || '{}') as { report?: InspectionReport };
  if (!document.report) throw new Error(`inspect reports nothing (status ${code}):\n${stdout}${stderr}`);
  return { ...document.report, exit: code };
}
