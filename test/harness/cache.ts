import { lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where what is costly to make is kept between test runs: a folder of this user's own that others can enter but not list. */
export async function cacheDirectory(): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const directory = join(tmpdir(), `dbkit-test-cache-${uid}`);
  await mkdir(directory, { recursive: true, mode: 0o711 });
  const found = await lstat(directory);
  if (!found.isDirectory() || found.uid !== uid) throw new Error(`${directory} belongs to somebody else`); // A shared /tmp is anybody's.
  return directory;
}
