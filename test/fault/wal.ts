import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readControl } from '../harness/control-file.ts';
import type { Instance } from '../harness/instance.ts';

/** The segment that holds the last checkpoint, relative to PGDATA. */
export const checkpointSegment = async ({ dataDir }: Instance): Promise<string> =>
  `pg_wal/${(await readControl(dataDir)).checkpointSegment}`;

/** Every segment in pg_wal. */
export async function segments({ dataDir }: Instance): Promise<string[]> {
  const names = await readdir(join(dataDir, 'pg_wal'));
  return names.filter((name) => /^[0-9A-F]{24}$/.test(name)).map((name) => `pg_wal/${name}`);
}
