import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readCluster } from '../backups/base/cluster.ts';
import { needsOf } from '../backups/base/expire-archives.ts';
import { baseBackupRecords } from '../backups/base/record.ts';
import { copiesOfWal } from '../backups/offsite/wal-notes.ts';
import { openRepository } from '../backups/repository.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { receiveWal } from '../boot/receive-wal.ts';
import { parseLsn } from '../formats/wal-segment.ts';
import { openForServer } from '../instance/sessions.ts';
import { bound } from '../kernel/deadline.ts';
import { DbkitError } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { openArchive } from '../wal/archive.ts';
import type { WalArchive } from '../wal/contract.ts';
import { expireWal } from '../wal/expire.ts';
import { fetchAhead } from '../wal/fetch-ahead.ts';
import { readKeeping } from '../wal/keeping.ts';
import type { NeedsWal } from '../wal/retention.ts';
import { awaitedOf, type WalStatus, type WalStatusFacts, walStatus } from '../wal/status.ts';
import { verifyWal, type WalRange, type WalVerification } from '../wal/verify.ts';

export interface WalExpiry {
  readonly dir: string;
  readonly dryRun: boolean;
  /** Labels of base backups whose record cannot be read: until it can, no WAL expires. */
  readonly unreadBackups: readonly string[];
  readonly decisions: readonly {
    readonly name: string;
    readonly keep: boolean;
    readonly reason: string;
    readonly because: string;
    readonly storedBytes: number;
  }[];
}

/** The WAL archive of the configured instance, for people. Each rejects with `backup.missing` where no WAL was ever kept. */
export interface KeptWal {
  status(signal: AbortSignal): Promise<WalStatus>;
  /** Of all of it, or of a part. */
  verify(range: WalRange | undefined, signal: AbortSignal): Promise<WalVerification>;
  /** For bin/dbkit-wal: writes a segment or a history to `to`. False: it is not in the archive. */
  fetch(name: string, to: string, signal: AbortSignal): Promise<boolean>;
  /** For bin/dbkit-wal without zstd(1): unpacks that segment and the next ones into a directory. The number of those laid out there. */
  fetchAhead(name: string, directory: string, signal: AbortSignal): Promise<number>;
  /** Keeps the WAL of a server that dbkit does not supervise until `signal` fires; see receiveWal. */
  receive(signal: AbortSignal): Promise<void>;
  expire(wish: { readonly dryRun: boolean }, signal: AbortSignal): Promise<WalExpiry>;
}

const QUESTION_MS = 2_000;
const REACHED = `
  SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn()::text END AS flushed,
         CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_flush_lsn()) END AS name`;

export function createKeptWal({ config, system }: PostgresqlOptions): KeptWal {
  const { backupDir, stateDir, postgresql } = config;
  const archiveOf = async (signal: AbortSignal): Promise<WalArchive> => {
    const cluster = await readCluster(postgresql.dataDir, signal).catch(unlessOwnTrouble);
    signal.throwIfAborted();
    const kept = (await readdir(join(backupDir, 'wal')).catch(() => [])).filter((name) => /^\d+$/.test(name));
    const known = cluster?.systemIdentifier ?? (await readKeeping(stateDir, system.files))?.systemIdentifier;
    const wanted = known ?? (kept.length === 1 ? kept[0] : undefined);
    if (wanted !== undefined && kept.includes(wanted)) return openArchive(backupDir, wanted, system.files);
    throw new DbkitError('backup.missing', `no WAL of this instance is kept in ${join(backupDir, 'wal')}`, {
      hint: 'set wal.mode to tail (DBKIT_WAL=tail) and restart: `dbkit restart postgresql`',
    });
  };
  const needs = async ({ systemIdentifier }: WalArchive, signal: AbortSignal): Promise<NeedsWal[]> =>
    needsOf(await openRepository(baseBackupRecords, { config, owner: undefined, system }).records(signal), systemIdentifier);
  return {
    async status(signal) {
      const archive = await archiveOf(signal);
      const [keeping, backups, copies, server] = await Promise.all([
        readKeeping(stateDir, system.files),
        needs(archive, signal),
        copiesOfWal(config, archive.systemIdentifier, system.files),
        reachedBy(postgresql, signal),
      ]);
      return walStatus({ archive, keeping, backups, copies, server, now: system.clock.now() }, signal);
    },
    verify: async (range, signal) => verifyWal(await archiveOf(signal), range, system.log, signal),
    fetch: async (name, to, signal) => (await archiveOf(signal)).fetch(name, to, signal),
    fetchAhead: async (name, directory, signal) => fetchAhead(await archiveOf(signal), name, directory, signal),
    receive: (signal) => receiveWal({ config, system }, signal),
    async expire({ dryRun }, signal) {
      const archive = await archiveOf(signal);
      const awaited = awaitedOf(await copiesOfWal(config, archive.systemIdentifier, system.files));
      const { decisions, unread } = await expireWal(archive, await needs(archive, signal), { dryRun, log: system.log, awaited }, signal);
      return {
        dir: archive.dir,
        dryRun,
        unreadBackups: unread,
        decisions: decisions.map(({ segment: { name, storedBytes }, ...decision }) => ({ name, ...decision, storedBytes })),
      };
    },
  };
}

/** Undefined where it does not answer in time, and for a standby. */
async function reachedBy(address: PostgresqlOptions['config']['postgresql'], outer: AbortSignal): Promise<WalStatusFacts['server']> {
  const limit = bound([outer], QUESTION_MS);
  const limits = { connectTimeoutMs: QUESTION_MS, statementTimeoutMs: QUESTION_MS };
  const session = await openForServer(address, limits, limit.signal).catch(() => undefined);
  try {
    const [row] = (await session?.query<{ flushed: string | null; name: string | null }>(REACHED)) ?? [];
    if (!row?.flushed || !row.name) return undefined;
    return { timeline: Number.parseInt(row.name.slice(0, 8), 16), flushedLsn: parseLsn(row.flushed) };
  } catch {
    return undefined;
  } finally {
    await session?.end();
    limit.release();
  }
}
