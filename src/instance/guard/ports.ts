import { readdir, readFile, readlink, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { DbkitError, errnoOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { isOwnTrouble, unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import { programOf } from './program-of.ts';

const TRIES = 5;
const PAUSE_MS = 60;

/**
 * Refuses a port that another program listens on, by trying it as the server would; names the program where /proc tells. Tried again for a moment:
 * another dbkit that tries the same port holds it for as long.
 */
export async function refusePortInUse(port: number, addresses: string, clock: System['clock'], signal: AbortSignal): Promise<void> {
  const wanted = addresses.trim();
  if (wanted === '') return;
  const first = wanted.split(',')[0]!.trim();
  const host = first === '*' ? '::' : first === 'localhost' ? '127.0.0.1' : first; // A name is looked up first, and takes as long as the lock.
  for (let tries = 1; (await tryPort(port, host)) === 'EADDRINUSE'; tries += 1) {
    if (tries === TRIES) throw await inUse(port);
    await clock.sleep(PAUSE_MS, signal);
  }
}

/** Undefined: it is free. Any other trouble than EADDRINUSE is for the server to name. */
const tryPort = (port: number, host: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (cause) => resolve(errnoOf(cause)));
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });

async function inUse(port: number): Promise<DbkitError> {
  const holder = await portHolder(port).catch(() => undefined); // It is in use, whoever cannot be named.
  return new DbkitError('port.in-use', `port ${port} is in use${holder ? ` by ${holder}` : ''}`, {
    hint: 'stop that program, or set PGPORT to a free port; nothing was changed',
  });
}

async function portHolder(port: number): Promise<string | undefined> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const rows = (await Promise.all(['tcp', 'tcp6'].map((table) => readFile(`/proc/net/${table}`, 'utf8').catch(() => ''))))
    .join('\n')
    .split('\n');
  const inodes = new Set(
    rows
      .map((row) => row.trim().split(/\s+/))
      .filter((row) => row[1]?.endsWith(`:${hex}`) && row[3] === '0A')
      .map((row) => `socket:[${row[9]}]`),
  );
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (inodes.has(link)) return `${await programOf(Number(pid))} (pid ${pid})`;
    }
  }
  return undefined;
}

/** Removes `.s.PGSQL.<port>` and its lock when nobody answers there and no postgres is behind the lock's pid. Rejects where dbkit could not ask. */
export async function clearStaleSocket(socketDir: string, port: number, { log }: Pick<System, 'log'>): Promise<void> {
  const socket = join(socketDir, `.s.PGSQL.${port}`);
  const lock = await readPlainText(`${socket}.lock`).catch(unlessOwnTrouble);
  if (lock === undefined) return;
  const answered = await new Promise<boolean>((resolve, reject) => {
    const client = createConnection(socket, () => {
      client.destroy();
      resolve(true);
    });
    client.once('error', (cause) => (isOwnTrouble(cause) ? reject(cause) : resolve(false)));
  });
  const pid = Math.abs(Number(lock.split('\n')[0]));
  if (answered || (await programOf(pid)) === 'postgres') {
    throw new DbkitError('port.in-use', `another server (pid ${pid}) uses the socket ${socket}`, {
      hint: 'stop it, or set PGPORT or PGHOST to another; nothing was changed',
    });
  }
  await rm(socket, { force: true });
  await rm(`${socket}.lock`, { force: true });
  log.info('socket.cleared', `removed the stale socket ${socket}`);
}
