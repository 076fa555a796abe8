import { readFile, readlink } from 'node:fs/promises';
import { isOwnTrouble, unlessOwnTrouble } from '../../kernel/own-trouble.ts';

/**
 * The name of the program a pid runs; undefined for no such process, and for a thread's id, which kill(2) would take for one. Rejects where dbkit itself
 * is short of descriptors or memory: that says nothing of the process.
 */
export async function programOf(pid: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(unlessOwnTrouble);
  if (status === undefined) return undefined;
  if (Number(/^Tgid:\s*(\d+)/m.exec(status)?.[1]) !== pid) return undefined;
  if (/^State:\s*[ZX]/m.test(status)) return undefined; // A zombie holds no file, no lock and no memory.
  const link = await readlink(`/proc/${pid}/exe`).catch(unlessOwnTrouble);
  const name =
    link
      ?.replace(/ \(deleted\)$/, '')
      .split('/')
      .at(-1) ?? /^Name:\s*(\S+)/m.exec(status)?.[1];
  return name === 'postmaster' ? 'postgres' : name;
}

/** For whoever waits for the end of a server process: true until it is proven that it is gone. */
export const mayBeServer = (pid: number): Promise<boolean> =>
  programOf(pid).then(
    (name) => name === 'postgres',
    (cause: unknown) => {
      if (!isOwnTrouble(cause)) throw cause;
      return true;
    },
  );
