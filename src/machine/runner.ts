import { DbkitError } from '../kernel/errors.ts';
import type { Logger, Runner, Tool, ToolResult } from '../kernel/machine.ts';
import { identityOf } from './child.ts';
import { actingAs, asCaller } from './privileges.ts';

const FORCE_AFTER_MS = 2_000; // Within the budget of a stop.

/** The only file that runs tools to their end. Secrets travel in `env` or `input`, never in `args`, so `args` are safe to log. */
export function createRunner(log: Logger, environment: Readonly<Record<string, string>>): Runner {
  const attempt = async (tool: Tool, signal: AbortSignal): Promise<ToolResult> => {
    const { execa, ExecaError } = await import('execa'); // A tenth of a second to load: a plain start runs no tool.
    const as = tool.as === 'caller' ? undefined : (tool.as ?? actingAs());
    log.debug('tool.start', `running ${tool.file}`, { file: tool.file, args: tool.args });
    try {
      const running = asCaller(() => ({
        tool: execa(tool.file, tool.args, {
          env: { ...environment, ...tool.env },
          extendEnv: false,
          ...(tool.cwd === undefined ? {} : { cwd: tool.cwd }),
          stdio: [tool.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...inherited(tool)],
          ...(tool.input === undefined ? {} : { input: tool.input }),
          ...identityOf(as),
          timeout: tool.timeoutMs,
          detached: true, // A group of its own: a script's children end with it.
          reject: true,
        }),
      })).tool; // In an object: a promise would look like work that goes on without these rights.
      const { exitCode, stdout, stderr } = await endedWith(running, signal);
      return { exitCode: exitCode ?? 0, stdout, stderr };
    } catch (cause) {
      if (!(cause instanceof ExecaError)) throw cause;
      signal.throwIfAborted();
      if (cause.code === 'ENOENT' && cause.exitCode === undefined) {
        throw new DbkitError('program.missing', `there is no program '${tool.file}'`, {
          hint: `install the package that brings ${tool.file.split('/').at(-1)}`,
          cause,
        });
      }
      if (cause.exitCode === undefined) throw failed(tool, cause.shortMessage, String(cause.stderr ?? ''), cause);
      return { exitCode: cause.exitCode, stdout: String(cause.stdout ?? ''), stderr: String(cause.stderr ?? '') };
    }
  };
  return {
    attempt,
    run: async (tool, signal) => {
      const result = await attempt(tool, signal);
      if (result.exitCode !== 0) throw failed(tool, `${tool.file} ended with status ${result.exitCode}`, result.stderr || result.stdout);
      return result;
    },
  };
}

/** An abort ends the tool and everything it has started: politely, then for good. */
async function endedWith<T>(running: PromiseLike<T> & { readonly pid?: number | undefined }, signal: AbortSignal): Promise<T> {
  let force: NodeJS.Timeout | undefined;
  const end = (): void => {
    tell(running.pid, 'SIGTERM');
    force = setTimeout(() => tell(running.pid, 'SIGKILL'), FORCE_AFTER_MS);
  };
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  try {
    return await running;
  } finally {
    signal.removeEventListener('abort', end);
    clearTimeout(force);
  }
}

function tell(pid: number | undefined, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) asCaller(() => process.kill(-pid, name));
  } catch {
    // The whole group has ended already.
  }
}

/** execa's types know no descriptors beyond 2 by number; Node takes them. */
const inherited = ({ lock }: Tool): 'inherit'[] => (lock ? [lock.fd as unknown as 'inherit'] : []);

function failed(tool: Tool, what: string, said: string, cause?: unknown): DbkitError {
  const words = said.trim().split('\n').slice(-5).join('\n') || 'nothing';
  return new DbkitError('tool.failed', what, { hint: `${tool.file.split('/').at(-1)} said: ${words}`, cause });
}
