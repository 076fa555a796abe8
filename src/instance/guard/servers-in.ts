import { readdir, readlink, realpath } from 'node:fs/promises';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { programOf } from './program-of.ts';

/**
 * The servers that work in a directory, by their own working directory (proc(5)): without a postmaster.pid, and where the directory itself was
 * removed under them, nothing else tells of them. Only those that this user may look at.
 * Rejects where dbkit itself is short of descriptors: a server that it cannot see is not gone.
 */
export async function serversIn(dataDir: string): Promise<number[]> {
  const home = await realpath(dataDir).catch(() => dataDir);
  const pids = ((await readdir('/proc').catch(unlessOwnTrouble)) ?? []).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const directory = await readlink(`/proc/${pid}/cwd`).catch(unlessOwnTrouble);
      const isHere = directory === home || directory === `${home} (deleted)`;
      return isHere && (await programOf(pid)) === 'postgres' ? [pid] : [];
    }),
  );
  return found.flat().sort((a, b) => a - b);
}
