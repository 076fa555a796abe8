import { readFile, stat } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import type { Control } from '../control/contract.ts';
import { askStatus, statusOf } from '../control/running.ts';
import type { StatusBoard, SupervisorStatus } from '../control/status.ts';
import { DbkitError, type FailureCode, failures } from '../kernel/errors.ts';
import type { Clock, Files, Signals, SpawnChild } from '../kernel/machine.ts';
import type { MonitorNeeds } from '../monitor/check.ts';
import type { AutomaticCommands } from './automatic-work.ts';
import { runEntrypoint } from './entrypoint.ts';
import type { SuperviseNeeds } from './supervision.ts';

type Needs = SuperviseNeeds &
  MonitorNeeds & {
    readonly files: Files;
    readonly spawn: SpawnChild;
    readonly signals: Signals;
    readonly commandEnvironment: Readonly<Record<string, string>>;
  };

export interface UpReport {
  readonly outcome: 'up' | 'already-up' | 'held' | 'stopped';
  readonly status: SupervisorStatus | null;
}

/** The services in the foreground, until Ctrl-C or `dbkit down`. */
export async function up(app: Needs, input: { onReady(): void; readonly automatic: AutomaticCommands }): Promise<UpReport> {
  if (await isUp(app)) return { outcome: 'already-up', status: (await app.board.read()) ?? null };
  await runEntrypoint(app, { mode: 'up', command: [], commandOutput: 'inherit', ...input });
  return { outcome: 'stopped', status: (await app.board.read()) ?? null };
}

const isUp = async ({ control }: { readonly control: Control }): Promise<boolean> =>
  (await control.ask({ command: 'ping' }, new AbortController().signal)) !== undefined;

export interface DetachInput {
  /** How this very program is started again: Node, the script, `up` and the flags of this call, with events as JSON lines. */
  readonly program: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/**
 * The services in the background: starts dbkit again in a session of its own and returns once they are ready or held. Does nothing when they
 * are up. Rejects with the failure of the background process, in its own words, or with `service.unready` when the time is over.
 */
export async function upDetached(
  app: {
    readonly config: Config;
    readonly control: Control;
    readonly board: StatusBoard;
    readonly spawn: SpawnChild;
    readonly prepareLog: (signal: AbortSignal) => Promise<string>;
    readonly clock: Clock;
  },
  input: DetachInput,
  signal: AbortSignal,
): Promise<UpReport> {
  if (await isUp(app)) return { outcome: 'already-up', status: (await statusOf(app.control, app.board, signal)) ?? null };
  const logFile = await app.prepareLog(signal);
  const from = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  const [file, ...args] = input.program;
  const child = await app.spawn({
    file: file!,
    args,
    env: input.environment,
    output: { appendTo: logFile },
    newSession: true,
    outlivesDbkit: true,
  });
  let exitCode: number | undefined;
  void child.exited.then(({ code }) => {
    exitCode = code ?? 1;
  });
  const deadlineMs = app.clock.monotonicMs() + input.timeoutMs;
  while (app.clock.monotonicMs() < deadlineMs) {
    const published = await app.board.read();
    const status = published?.pid === child.pid ? published : await askStatus(app.control, signal);
    if (status?.pid === child.pid && status.readyAt !== null) {
      return { outcome: status.services.some(({ state }) => state === 'held') ? 'held' : 'up', status };
    }
    if (exitCode !== undefined) throw await failureOf(logFile, from);
    await app.clock.sleep(20, signal);
  }
  throw new DbkitError('service.unready', 'the services were not ready in time; they go on starting in the background', {
    hint: `see \`dbkit status\`, and ${logFile} for what they say`,
  });
}

/** The last words of the background process, from byte `from` of its log: the JSON line of its failure, told again here as if it were ours. */
async function failureOf(logFile: string, from: number): Promise<DbkitError> {
  const lines = (await readFile(logFile)).subarray(from).toString().trimEnd().split('\n');
  for (const line of lines.reverse()) {
    const { event, message, hint } = parsed(line);
    if (event !== undefined && event in failures)
      return new DbkitError(event as FailureCode, String(message), { hint: typeof hint === 'string' ? hint : undefined });
  }
  return new DbkitError('service.failed', 'the background process ended before the services were ready', { hint: `${logFile} says more` });
}

function parsed(line: string): { event?: string; message?: unknown; hint?: unknown } {
  try {
    return JSON.parse(line) as object;
  } catch {
    return {}; // Node's own words, or those of a service.
  }
}
