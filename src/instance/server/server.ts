import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Child, ExitReason, HeldLock } from '../../kernel/machine.ts';
import { isOwnTrouble, unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import type { StopMode } from '../../kernel/running-service.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import { loadDriver, sqlStateOf } from '../connection.ts';
import { configurationArguments } from '../external-configuration.ts';
import { connectForServer, type Local } from '../local.ts';
import { type LogTail, tailFrom } from './server-log.ts';

/** How a start ended: it serves, or it went away, or it stopped making progress; `lines` are what it wrote. */
export type Launch =
  | { readonly kind: 'serving'; readonly child: Child; readonly standby: boolean; lines(): Promise<readonly string[]> }
  | { readonly kind: 'exited'; readonly exit: ExitReason; readonly lines: readonly string[] }
  /** `panics`: how often it had begun its recovery again, where that is why. */
  | { readonly kind: 'stuck'; readonly child: Child; readonly lines: readonly string[]; readonly panics?: number };

export interface LaunchOptions {
  readonly dataDir: string;
  /** A private socket directory: nobody but dbkit can connect. Undefined: the configured socket and addresses. */
  readonly privateSocketDir: string | undefined;
  /** Handed to the postmaster, which then holds the volume's lock for its life; undefined on another volume. */
  readonly lock?: HeldLock | undefined;
  /** Above the configured ones. */
  readonly overrides?: Readonly<Record<string, string>> | undefined;
}

/** How often the status line is read: a quick start takes some thirty milliseconds, a slow one need not be watched that closely. */
const pollMs = (sinceMs: number): number => (sinceMs < 300 ? 3 : sinceMs < 2_000 ? 10 : 100);
const CANNOT_CONNECT_NOW = '57P03';
const REPORT_EVERY_MS = 10_000;
/** A server whose children die begins again by itself, without end (postmaster.c, PostmasterStateMachine): that is no progress. */
const RECOVERIES_MAX = 5;
const signals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const satisfies Record<StopMode, NodeJS.Signals>;

/** Translates a stop mode for the postmaster only: never its group, never SIGKILL (server chapter "Shutting Down the Server"). */
export const signalStop = (child: Child, mode: StopMode): void => child.kill(signals[mode]);

/**
 * Starts `postgres` and waits until its own status line (postmaster.pid, line 8) says that it accepts connections. The wait ends
 * `maxStartupSeconds` after the last sign of progress, so a long crash recovery is never cut short. An abort stops the server fast.
 */
export async function launch(local: Local, options: LaunchOptions, signal: AbortSignal): Promise<Launch> {
  const { system, binaries, owner, logFile } = local;
  const log = await tailFrom(logFile);
  const child = await system.spawn({
    file: join(binaries.directory, 'postgres'),
    args: [...serverArguments(local, options), ...(await configurationArguments(local.settings.dataDir, options.dataDir))],
    env: { ...system.childEnvironment, PGDATA: options.dataDir },
    as: owner,
    output: { appendTo: logFile },
    newSession: true,
    lock: options.lock,
  });
  system.reached('server.spawned');
  system.trace('server.spawned');
  void loadDriver();
  const stopOnAbort = (): void => signalStop(child, 'fast');
  signal.addEventListener('abort', stopOnAbort, { once: true });
  try {
    const outcome = await waitUntilServing(local, child, options, log);
    if (signal.aborted) {
      signalStop(child, 'fast');
      await child.exited;
      signal.throwIfAborted();
    }
    if (outcome.kind === 'serving') system.trace('server.ready');
    return outcome;
  } finally {
    signal.removeEventListener('abort', stopOnAbort);
  }
}

/** A setting of dbkit's stands on the command line, above every configuration file; passwords never do. */
function serverArguments({ settings }: Local, { dataDir, privateSocketDir, overrides = {} }: LaunchOptions): string[] {
  const setting = (name: string, value: string): string[] => ['-c', `${name}=${value}`];
  return [
    '-D',
    dataDir,
    ...setting('port', String(settings.port)),
    ...setting('unix_socket_directories', privateSocketDir ?? settings.socketDir),
    ...(privateSocketDir ? [...setting('listen_addresses', ''), ...setting('external_pid_file', join(privateSocketDir, 'pid'))] : []), // Debian's names the instance.
    ...Object.entries({ ...settings.settings, ...overrides }).flatMap(([name, value]) => setting(name, String(value))),
  ];
}

async function waitUntilServing(local: Local, child: Child, { dataDir, privateSocketDir }: LaunchOptions, log: LogTail): Promise<Launch> {
  const pidFile = join(dataDir, 'postmaster.pid');
  const socketDir = privateSocketDir ?? local.settings.socketDir;
  const patienceMs = local.settings.maxStartupSeconds * 1000;
  const { clock, log: logger } = local.system;
  let exit: ExitReason | undefined;
  void child.exited.then((reason) => {
    exit = reason;
  });
  const begun = clock.monotonicMs();
  let lastSign = begun;
  let lastReport = begun;
  let seen = '';
  const recoveries = new Set<string>();
  for (;;) {
    if (exit) return { kind: 'exited', exit, lines: await log.lines() };
    const status = await statusLine(pidFile, child.pid);
    if (status === 'ready') return { kind: 'serving', child, standby: false, lines: log.lines };
    if (status === 'standby' && (await letsIn(local, socketDir))) return { kind: 'serving', child, standby: true, lines: log.lines };
    const nowMs = clock.monotonicMs();
    if (nowMs - begun > 250) {
      const children = await childrenOf(child.pid).catch(ownTrouble); // Cheap, but not free: a quick start never gets here.
      for (const { pid, replays } of children ?? []) if (replays) recoveries.add(pid);
      if (recoveries.size > RECOVERIES_MAX) return { kind: 'stuck', child, lines: await log.lines(), panics: recoveries.size - 1 };
      const sign = `${await log.size()}/${children?.reduce((sum, { ticks }) => sum + ticks, 0)}`;
      if (sign !== seen || children === undefined) lastSign = nowMs;
      seen = sign;
    }
    if (nowMs - lastSign > patienceMs) return { kind: 'stuck', child, lines: await log.lines() };
    if (nowMs - lastReport >= REPORT_EVERY_MS) {
      lastReport = nowMs;
      const words = (await log.lines()).at(-1)?.replace(/^.*?(LOG|FATAL|WARNING):\s*/, '') ?? 'no word yet';
      logger.progress('server.starting', `PostgreSQL is starting (${words})`, {
        done: Math.round((nowMs - begun) / 1000),
        unit: 'seconds',
      });
    }
    await Promise.race([child.exited, clock.sleep(pollMs(nowMs - begun), neverAborted)]);
  }
}

const neverAborted = new AbortController().signal; // The abort is answered by stopping the server, whose exit ends the wait.

/** A server in recovery with hot_standby off calls itself standby too, long before it lets anybody in (postmaster.c): only a session tells. */
async function letsIn(local: Local, socketDir: string): Promise<boolean> {
  try {
    await (await connectForServer(local, neverAborted, socketDir)).end();
    return true;
  } catch (cause) {
    return sqlStateOf(cause) !== CANNOT_CONNECT_NOW;
  }
}

/** Line 8 of postmaster.pid, once line 1 names our child: 'starting', 'stopping', 'ready', 'standby' (src/include/utils/pidfile.h). */
async function statusLine(pidFile: string, pid: number): Promise<string | undefined> {
  const lines = (await readPlainText(pidFile).catch(() => '')).split('\n');
  return Number(lines[0]) === pid ? lines[7]?.trim() : undefined;
}

interface ServerChild {
  readonly pid: string;
  /** Processor time in clock ticks: the startup process moves it while it replays WAL. */
  readonly ticks: number;
  /** It is the startup process; titles are not translated (ps_status.c). */
  readonly replays: boolean;
}

/** Undefined where dbkit is short of descriptors to look: no server has stood still by that. */
function ownTrouble(thrown: unknown): undefined {
  if (!isOwnTrouble(thrown)) throw thrown;
  return undefined;
}

async function childrenOf(pid: number): Promise<ServerChild[]> {
  const read = async (path: string): Promise<string> => (await readFile(`/proc/${path}`, 'utf8').catch(unlessOwnTrouble)) ?? '';
  const children = (await read(`${pid}/task/${pid}/children`)).split(' ').filter(Boolean);
  return Promise.all(
    children.map(async (child) => {
      const fields = (await read(`${child}/stat`)).split(') ').at(-1)?.split(' ');
      const title = await read(`${child}/cmdline`);
      const ticks = Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0); // utime and stime: proc(5), fields 14 and 15.
      return { pid: child, ticks, replays: /^postgres: (.*: )?startup( |\0|$)/.test(title) };
    }),
  );
}
