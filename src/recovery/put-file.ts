import { dirname, join } from 'node:path';
import type { Local } from '../instance/local.ts';

/** Writes a file of PGDATA. The folder may be gone with its files: pg_twophase, or that of a database in a tablespace. */
export async function putFile({ volume, owner, system }: Local, path: string, body: string | Uint8Array): Promise<void> {
  const to = join(volume.dataDir, path);
  await system.files.makeDirectory(dirname(to), { mode: 0o700, owner });
  await system.files.write(to, body, { mode: 0o600, owner });
}
