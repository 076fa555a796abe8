import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** Of a pipe that nobody writes to, open(2) waits without end unless it is told not to; of a device, read(2) may give bytes without end. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** As of a directory, which is no file either: what stands in its place is judged in one way. */
const noFile = (path: string): Error => Object.assign(new Error(`EISDIR: ${path} is no regular file`), { code: 'EISDIR' });

/** Reads a small file whole, from a folder where others may have put something else in its place. Rejects as open(2) does, and with EISDIR for what is no file. */
export async function readPlain(path: string): Promise<Buffer> {
  const file = await open(path, FLAGS);
  try {
    if (!(await file.stat()).isFile()) throw noFile(path);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** The same at once. */
export function readPlainSync(path: string): Buffer {
  const fd = openSync(path, FLAGS);
  try {
    if (!fstatSync(fd).isFile()) throw noFile(path);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Its text. */
export const readPlainText = async (path: string): Promise<string> => (await readPlain(path)).toString();
