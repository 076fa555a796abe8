import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DbkitError } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { lookupUser } from '../machine/users.ts';

/** A socket, and the data of the server that listens there; without data it is somebody's choice whom to ask, as it is with psql. */
export interface Listening {
  readonly socketDir: string;
  readonly port: number;
  readonly dataDir?: string | undefined;
}

/**
 * In a folder such as /tmp anybody may listen while the server is down; he would be told its superuser's password, and asked what is true (libpq,
 * "Preventing Server Spoofing"). Rejects with `data.owner` unless the socket is the server's user's, root's, or that of whoever asks. One that is
 * not there is left to whoever connects.
 */
export async function requireOwnSocket(at: Listening): Promise<void> {
  if (at.dataDir === undefined || !at.socketDir.startsWith('/')) return;
  const path = join(at.socketDir, `.s.PGSQL.${at.port}`);
  const entries = await Promise.all([lstat(path), stat(path)]).catch(unlessOwnTrouble);
  if (entries === undefined) return;
  const own = await usersOf(at.dataDir);
  const other = entries.find(({ uid }) => !own.has(uid)); // Of a link its own owner counts as well.
  if (other === undefined) return;
  throw new DbkitError('data.owner', `${path} belongs to uid ${other.uid}, who is not the user of the server`, {
    hint: `find out who listens there (\`ss -xlp\`); PGDATA names the server's data, by whose owner it is known; a socket folder that only the server may write keeps others out`,
  });
}

/** A server is run by the owner of its data (checkDataDir in src/backend/utils/init/miscinit.c); where that cannot be seen, postgres is its name as a rule. */
async function usersOf(dataDir: string): Promise<ReadonlySet<number | undefined>> {
  const data = await stat(dataDir).catch(() => undefined);
  return new Set([0, process.getuid?.(), process.geteuid?.(), data?.uid, (await lookupUser('postgres'))?.uid]);
}

/** PostgreSQL's own tools hold the server to the same (libpq's requirepeer, which takes one name). */
export async function peerEnvironment({ socketDir, port, dataDir }: Listening): Promise<Record<string, string>> {
  if (dataDir === undefined || !socketDir.startsWith('/')) return {};
  await requireOwnSocket({ socketDir, port, dataDir });
  const entry = await stat(join(socketDir, `.s.PGSQL.${port}`)).catch(() => undefined);
  const name = entry === undefined ? undefined : (await lookupUser(entry.uid))?.name;
  return name === undefined ? {} : { PGREQUIREPEER: name }; // A uid without a name has none to compare with.
}
