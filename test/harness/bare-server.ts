import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { asServerUser } from './as-user.ts';
import type { Programs } from './majors.ts';

/** A `postgres` without dbkit. */
export interface BareServer {
  readonly pid: number;
  /** What it has written so far. */
  words(): string;
  /** Settles when it is gone. */
  readonly exited: Promise<number | null>;
  /** A fast shutdown. */
  stop(): Promise<void>;
}

export interface BareOptions {
  readonly socketDir: string;
  readonly port: number;
  readonly settings?: Readonly<Record<string, string>>;
}

const PATIENCE_MS = 60_000;

/** Starts `postgres` on `dataDir` and waits until it accepts connections or is gone; `exited` and `words` tell which. */
export async function startBare({ directory }: Programs, dataDir: string, options: BareOptions): Promise<BareServer & { up: boolean }> {
  const settings = {
    listen_addresses: '',
    restart_after_crash: 'off',
    unix_socket_directories: options.socketDir,
    port: String(options.port),
    dynamic_shared_memory_type: 'mmap', // In /dev/shm it would outlive a server that is killed.
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(join(directory, 'postgres'), ['-D', dataDir, ...args], {
    ...asServerUser,
    cwd: '/',
    env: { LC_ALL: 'C', PATH: process.env['PATH'], TZ: 'UTC' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  const ready = new Promise<boolean>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (/database system is ready to accept/.test(text)) resolve(true);
    });
  });
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const timer = setTimeout(() => child.kill('SIGQUIT'), PATIENCE_MS);
  const up = await Promise.race([ready, exited.then(() => false)]);
  clearTimeout(timer);
  return {
    pid: child.pid ?? 0,
    up,
    words: () => text,
    exited,
    stop: async () => {
      child.kill('SIGINT');
      await exited;
    },
  };
}
