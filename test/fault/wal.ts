import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMark } from '../../src/wal/mark.ts';
import { ask } from '../harness/ask.ts';
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

/** Until the supervisor, which does it every few seconds, has written down that the WAL has come this far. */
export async function untilMarked(instance: Instance): Promise<void> {
  const [end] = await ask<{ lsn: string }>(instance, 'postgres', "SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS lsn");
  while (((await readMark(instance.stateDir, instance.dataDir, undefined))?.flushedLsn ?? 0n) < BigInt(end!.lsn)) await sleep(100);
}
