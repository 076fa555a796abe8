import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { openArchive } from '../../src/wal/archive.ts';
import type { WalArchive } from '../../src/wal/contract.ts';
import type { WalKeepingState } from '../../src/wal/keeping.ts';
import { ask } from '../harness/ask.ts';
import type { Instance } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';

/** The archive as the default has it: tests of everything else run without one. */
export const withArchive = { env: { DBKIT_WAL: undefined } };

const { signal } = new AbortController();

/** The one that is there: a test that looks at it when the data are gone has no other name for it. */
export async function archiveOf({ backupDir }: Instance): Promise<WalArchive> {
  const [systemIdentifier = '0'] = await readdir(join(backupDir, 'wal')).catch(() => [] as string[]);
  return openArchive(backupDir, systemIdentifier, createFiles(createLogger('error', () => undefined)));
}

/** How far the newest timeline is kept; 0 where nothing is. */
export async function keptUpTo(archive: WalArchive): Promise<bigint> {
  const timelines = await archive.timelines(signal);
  return timelines.at(-1)?.segments.at(-1)?.endLsn ?? 0n;
}

/** Waits until everything that is durable now is in the archive. */
export async function untilKept(instance: Instance): Promise<bigint> {
  const [row] = await ask<{ lsn: string }>(instance, 'postgres', `SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS lsn`);
  const flushed = BigInt(row!.lsn);
  await until(
    async () => (await keptUpTo(await archiveOf(instance))) >= flushed,
    () => `the archive does not come to ${flushed}`,
    20_000,
  );
  return flushed;
}

export async function keepingOf({ stateDir }: Instance): Promise<WalKeepingState | undefined> {
  const text = await readFile(join(stateDir, 'wal.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as WalKeepingState);
}
