import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serverUser } from './as-user.ts';
import type { Running } from './dbkit.ts';
import { ownedBy } from './files.ts';
import type { Instance } from './instance.ts';
import { processesIn, untilNoneIn } from './processes.ts';

/** Verbs that break a data directory; paths are relative to PGDATA, and owners stay what they were. */
const PAGE_BYTES = 8192;
type Broken = Pick<Instance, 'dataDir'>;

export const remove = ({ dataDir }: Broken, ...paths: readonly string[]): Promise<void> =>
  paths.reduce((before, path) => before.then(() => rm(join(dataDir, path), { recursive: true })), Promise.resolve());

export const truncateTo = ({ dataDir }: Broken, path: string, sizeBytes: number): Promise<void> => truncate(join(dataDir, path), sizeBytes);

/** Zeroes every byte, keeping the size. */
export const zero = (broken: Broken, path: string): Promise<void> => rewrite(broken, path, (bytes) => bytes.fill(0));

/** Random bytes in place of every byte. */
export const scramble = (broken: Broken, path: string): Promise<void> => rewrite(broken, path, (bytes) => randomBytes(bytes.length));

/** One bit of rot. */
export async function flipByte({ dataDir }: Broken, path: string, offsetBytes: number): Promise<void> {
  await withFile(join(dataDir, path), async (file) => {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, offsetBytes);
    await file.write(Buffer.from([byte[0]! ^ 0x40]), 0, 1, offsetBytes);
  });
}

/** What `dd if=/dev/urandom` over one page does. */
export async function overwritePage({ dataDir }: Broken, path: string, page: number): Promise<void> {
  await withFile(join(dataDir, path), (file) => file.write(randomBytes(PAGE_BYTES), 0, PAGE_BYTES, page * PAGE_BYTES));
}

/** What a lost write, or a hole in a sparse file, leaves of one page. */
export async function zeroPage({ dataDir }: Broken, path: string, page: number): Promise<void> {
  await withFile(join(dataDir, path), (file) => file.write(Buffer.alloc(PAGE_BYTES), 0, PAGE_BYTES, page * PAGE_BYTES));
}

/** A new file, or other text in an old one. */
export async function write({ dataDir }: Broken, path: string, text: string): Promise<void> {
  await writeFile(join(dataDir, path), text, { mode: 0o600 });
  await ownedBy(join(dataDir, path), serverUser);
}

async function rewrite({ dataDir }: Broken, path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const bytes = await readFile(join(dataDir, path));
  await withFile(join(dataDir, path), (file) => file.write(change(bytes), 0, bytes.length, 0));
}

async function withFile(path: string, work: (file: FileHandle) => Promise<unknown>): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

/** The pid of the server on this very directory, from its own file. */
export async function postmasterOf({ dataDir }: Broken): Promise<number> {
  const pid = Number((await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  if (!processesIn(dataDir).includes(pid)) throw new Error(`no server (pid ${pid}) works in ${dataDir}`);
  return pid;
}

/** A power cut: dbkit and the server are gone at once, nothing is written any more. */
export async function crash(instance: Broken, running: Running): Promise<void> {
  const postmaster = await postmasterOf(instance);
  process.kill(running.pid, 'SIGKILL');
  process.kill(postmaster, 'SIGKILL');
  await running.ended;
  await untilNoneIn(instance.dataDir);
}
