import { open, stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { ProcessSettings } from '../../config/config.ts';
import { within } from '../../kernel/deadline.ts';
import { DbkitError, isAbort } from '../../kernel/errors.ts';
import type { Child, ExitReason, Identity, System } from '../../kernel/machine.ts';
import type { RunningService } from '../../kernel/running-service.ts';
import type { Service } from '../service.ts';

const POLL_MS = 100;
const TRY_TIMEOUT_MS = 2_000;
const LOG_TAIL_BYTES = 64 * 1024;

export interface ProcessOptions {
  readonly name: string;
  readonly settings: ProcessSettings;
  readonly system: System;
  readonly logDir: string;
}

/** The generic service: any long-lived command of dbkit.yaml, with its output in `<logDir>/<name>.log`. */
export function createProcessService({ name, settings, system, logDir }: ProcessOptions): Service {
  const logFile = join(logDir, `${name}.log`);
  const { restart } = settings;
  return {
    name,
    dependsOn: settings.dependsOn,
    onFail: settings.onFail,
    restart: {
      policy: restart.policy,
      backoffMs: restart.backoffSeconds * 1000,
      backoffMaxMs: restart.backoffMaxSeconds * 1000,
      max: restart.max,
      windowMs: restart.windowSeconds * 1000,
    },
    stopTimeoutMs: settings.stop.timeoutSeconds * 1000,
    prepare: async () => system.files.makeDirectory(logDir, { mode: 0o755 }),
    start: (signal) => start({ name, settings, system, logDir }, logFile, signal),
    probes: [],
    backups: [],
  };
}

async function start({ name, settings, system }: ProcessOptions, logFile: string, signal: AbortSignal): Promise<RunningService> {
  const as = await identityFor(settings, system);
  const from = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  const [file, ...args] = settings.command;
  const env = { ...system.childEnvironment, ...settings.env };
  const child = await system.spawn({ file: file!, args, env, cwd: settings.cwd, as, output: { appendTo: logFile }, newSession: true });
  const running: RunningService = {
    pid: child.pid,
    exited: child.exited,
    stop: async (mode) => {
      child.kill(mode === 'immediate' ? 'SIGQUIT' : settings.stop.signal);
      await child.exited;
    },
    reload: async () => child.kill('SIGHUP'),
    details: { command: settings.command.join(' '), log: logFile },
  };
  try {
    await untilReady(name, settings, system, child, { logFile, from }, signal);
    return running;
  } catch (cause) {
    child.kill(settings.stop.signal);
    if (isAbort(cause)) await child.exited;
    throw cause;
  }
}

async function identityFor({ user }: ProcessSettings, system: System): Promise<Identity | undefined> {
  if (user === undefined) return undefined;
  const identity = await system.lookupUser(user);
  if (!identity) throw new DbkitError('config.invalid', `there is no user '${user}'`, { hint: 'correct `user` of that service' });
  if (identity.uid !== system.self.uid && system.self.uid !== 0) {
    throw new DbkitError('data.owner', `only root can start a service as ${user}`, { hint: 'run dbkit as root, or remove `user`' });
  }
  return identity;
}

interface Log {
  readonly logFile: string;
  readonly from: number;
}

/** Asks its readiness question every 100 ms until it says yes, it dies, or the time is over. Without a question, having started is enough. */
async function untilReady(
  name: string,
  settings: ProcessSettings,
  system: System,
  child: Child,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const { ready } = settings;
  if (!ready) return;
  let exit: ExitReason | undefined;
  void child.exited.then((reason) => {
    exit = reason;
  });
  const deadlineMs = system.clock.monotonicMs() + ready.timeoutSeconds * 1000;
  for (;;) {
    const yes = await within([signal], TRY_TIMEOUT_MS, (bounded) => isReady(ready, system, log, bounded)).catch(() => false);
    signal.throwIfAborted();
    if (exit)
      throw await notReady(name, `ended ${exit.signal ? `by ${exit.signal}` : `with status ${exit.code}`} before it was ready`, log);
    if (yes) return;
    if (system.clock.monotonicMs() > deadlineMs) throw await notReady(name, `was not ready after ${ready.timeoutSeconds} s`, log);
    await system.clock.sleep(POLL_MS, signal);
  }
}

async function isReady(ready: NonNullable<ProcessSettings['ready']>, system: System, log: Log, signal: AbortSignal): Promise<boolean> {
  if ('tcp' in ready) return answersTcp(String(ready.tcp), signal);
  if ('http' in ready) {
    const answer = await fetch(ready.http, { signal });
    await answer.body?.cancel();
    return answer.ok;
  }
  if ('log' in ready) return (await readFrom(log)).includes(ready.log);
  const [file, ...args] = ready.command;
  return (await system.runner.attempt({ file: file!, args, as: 'caller', timeoutMs: TRY_TIMEOUT_MS }, signal)).exitCode === 0;
}

function answersTcp(address: string, signal: AbortSignal): Promise<boolean> {
  const [port, host = '127.0.0.1'] = address.split(':').toReversed();
  return new Promise((resolve) => {
    const socket = createConnection({ host, port: Number(port), signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function notReady(name: string, what: string, log: Log): Promise<DbkitError> {
  const last = (await readFrom(log)).trimEnd().split('\n').slice(-20).join('\n');
  return new DbkitError('service.failed', `${name} ${what}${last ? `\n${last}` : ''}`, { hint: `its log is ${log.logFile}` });
}

/** The output since it was started, the newest 64 KiB of it. */
async function readFrom({ logFile, from }: Log): Promise<string> {
  const handle = await open(logFile);
  try {
    const { size } = await handle.stat();
    const begin = Math.max(from, size - LOG_TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.max(0, size - begin)), 0, Math.max(0, size - begin), begin);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
