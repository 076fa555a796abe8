import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { errnoOf } from '../kernel/errors.ts';
import type { Files } from '../kernel/machine.ts';
import { readPlainText } from './plain-file.ts';

const FIRST_PORT = 5432;
const PORTS_TRIED = 200;
const IGNORED =
  '# git clean -fdx removes this folder whole: the data and its backups. `copies` in dbkit.yaml keeps backups elsewhere.\n*\n';
const cannotWrite = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EEXIST']);

/** True if a user that is neither owner nor group may pass every folder down to `path`; what is missing will be made passable. */
export async function reachableByOthers(path: string): Promise<boolean> {
  for (let directory = path; ; directory = dirname(directory)) {
    const entry = await stat(directory).catch(() => undefined);
    if (entry && (entry.mode & 0o001) === 0 && directory !== path) return false;
    if (directory === dirname(directory)) return true;
  }
}

/** True if nothing has been kept at `path` yet. */
export const isMissing = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined)) === undefined;

/**
 * The port this folder's instance has used before, else the first free one from 5432 on, remembered in `<base>/port`. Where nothing can be
 * written it is not remembered: the data directory then fails with its own words.
 */
export async function localPort(base: string, files: Files): Promise<number> {
  const remembered = Number(await readPlainText(join(base, 'port')).catch(() => ''));
  if (Number.isInteger(remembered) && remembered > 0) return remembered;
  let port = FIRST_PORT;
  while (!(await isFree(port)) && port < FIRST_PORT + PORTS_TRIED) port += 1;
  try {
    await files.makeDirectory(base, { mode: 0o755 });
    await files.write(join(base, 'port'), `${port}\n`);
    if (await isMissing(join(base, '.gitignore'))) await files.write(join(base, '.gitignore'), IGNORED); // A project must not commit a database.
  } catch (cause) {
    if (!cannotWrite.has(errnoOf(cause) ?? '')) throw cause;
  }
  return port;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (cause) => resolve(errnoOf(cause) !== 'EADDRINUSE'));
    probe.listen({ port, host: 'localhost', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
