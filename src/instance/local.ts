import type { PostgresqlSettings } from '../config/config.ts';
import type { HeldLock, Identity, System } from '../kernel/machine.ts';
import type { Binaries } from './binaries.ts';
import type { Connection } from './connection.ts';
import type { Harm } from './session-trouble.ts';
import { openAsSuperuser, openForServer, type SessionLimits } from './sessions.ts';
import type { Volume } from './volume.ts';

/** One instance on this machine with everything known about it: what every step of the PostgreSQL service works on. */
export interface Local {
  readonly settings: PostgresqlSettings;
  readonly volume: Volume;
  /** The application's password was configured: then the role is given it at every start; the default is for a new instance only. */
  readonly passwordIsGiven: boolean;
  readonly stateDir: string;
  readonly backupDir: string;
  /** The server's log: stderr is appended here, so that it outlives dbkit. */
  readonly logFile: string;
  /** The user of the server, and who owns its files. */
  readonly owner: Identity;
  readonly binaries: Binaries;
  /** The volume's lock, once it is held: for the server, and for every tool that writes to the data. */
  readonly lock?: HeldLock | undefined;
  /** Databases a session of which did harm since the start began, or something was mended: nobody asks them again. Absent where nothing is started twice. */
  readonly unasked?: Map<string, Harm>;
  /** Databases in a session of which the server hung up, since the start began, or something was mended: each is asked alone. */
  readonly hungUp?: Set<string>;
  readonly system: System;
}

/** Names the databases that are not asked any more from now on. */
export function unaskedSince({ unasked = new Map() }: Pick<Local, 'unasked'>): () => string[] {
  const before = new Set(unasked.keys());
  return () => [...unasked.keys()].filter((name) => !before.has(name));
}

/** A session as the superuser over the instance's own socket, or another one of the same data. */
export async function connectSuperuser(
  { settings, binaries }: Local,
  database: string,
  signal: AbortSignal,
  socketDir = settings.socketDir,
  limits: SessionLimits = {},
): Promise<Connection> {
  return openAsSuperuser({ ...settings, socketDir }, database, { major: binaries.major, ...limits }, signal);
}

/** The same for questions about the server as a whole: there need not be a database `postgres`, and it need not let anybody in. */
export const connectForServer = (
  { settings, binaries, unasked }: Local,
  signal: AbortSignal,
  socketDir = settings.socketDir,
  limits: SessionLimits = {},
): Promise<Connection> => openForServer({ ...settings, socketDir }, { major: binaries.major, ...limits }, signal, unasked);
