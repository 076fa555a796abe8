import { readFile, readlink } from 'node:fs/promises';

/** The name of the program a pid runs; undefined for no such process, and for a thread's id, which kill(2) would take for one. */
export async function programOf(pid: number): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  if (Number(/^Tgid:\s*(\d+)/m.exec(status)?.[1]) !== pid) return undefined;
  if (/^State:\s*[ZX]/m.test(status)) return undefined; // A zombie holds no file, no lock and no memory.
  const link = await readlink(`/proc/${pid}/exe`).catch(() => undefined);
  const name =
    link
      ?.replace(/ \(deleted\)$/, '')
      .split('/')
      .at(-1) ?? /^Name:\s*(\S+)/m.exec(status)?.[1];
  return name === 'postmaster' ? 'postgres' : name;
}
