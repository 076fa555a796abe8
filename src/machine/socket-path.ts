import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DbkitError } from '../kernel/errors.ts';
import { isReachable } from './is-there.ts';

const PATH_BYTES_MAX = 107; // sun_path of unix(7), less its final NUL.

export interface ShortName {
  readonly path: string;
  close(): Promise<void>;
}

/** `path` itself where it fits into sun_path, else the same file through its open folder, which Linux lists in /proc/self/fd. */
export async function shortName(path: string): Promise<ShortName> {
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return { path, close: async () => undefined };
  const folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  const seen = `/proc/self/fd/${folder.fd}`;
  if (await isReachable(seen)) return { path: join(seen, basename(path)), close: () => folder.close() };
  await folder.close();
  throw new DbkitError('config.invalid', `the path of the control socket is too long for the system: ${path}`, {
    hint: 'set DBKIT_STATE_DIR to a shorter path',
  });
}
