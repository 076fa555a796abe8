import { readFile } from 'node:fs/promises';
import type { Identity } from '../kernel/machine.ts';

/** A user of /etc/passwd by name or uid; undefined when there is none (a container's arbitrary uid, say). */
export async function lookupUser(user: string | number): Promise<Identity | undefined> {
  const column = typeof user === 'number' ? 2 : 0;
  const rows = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));
  const row = rows.find((fields) => fields[column] === String(user));
  return row && { uid: Number(row[2]), gid: Number(row[3]), name: row[0]!, home: row[5] || '/' };
}

/** The user of this process; a uid without an entry is named by its number. */
export async function currentUser(home: string | undefined): Promise<Identity> {
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  return (await lookupUser(uid)) ?? { uid, gid, name: String(uid), home: home ?? '/' };
}
