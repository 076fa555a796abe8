import { type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import { openForServer, type ServerAddress } from '../../instance/sessions.ts';
import { DbkitError } from '../../kernel/errors.ts';

export interface BackupStart {
  readonly startLsn: Lsn;
  /** Undefined on a standby, which may not be asked for WAL file names: pg_control knows. */
  readonly timeline: number | undefined;
}
export interface BackupStop {
  readonly stopLsn: Lsn;
  /** To be written byte for byte. */
  readonly backupLabel: Buffer;
  readonly tablespaceMap: Buffer;
}

/**
 * PostgreSQL's low-level backup API (docs: "Making a Base Backup Using the Low Level API") on one session, held open from start to stop:
 * should it be lost, the server aborts the backup by itself, and the temporary slot that holds the WAL goes with it.
 */
export interface ServerSession {
  readonly versionNumber: number;
  readonly systemIdentifier: string;
  readonly isStandby: boolean;
  start(label: string): Promise<BackupStart>;
  stop(): Promise<BackupStop>;
  /** Of a standby: the timeline of what it has to replay again after a crash; undefined on a primary. */
  replayedTimeline(): Promise<number | undefined>;
  /** Idempotent; ends the hold on WAL. */
  end(): Promise<void>;
}

/** Opens the session and checks that the server can be backed up. Rejects with `service.unready` or `server.settings` and the reason. */
export async function openServerSession(address: ServerAddress, signal: AbortSignal): Promise<ServerSession> {
  const connection = await openForServer(address, {}, signal);
  try {
    const facts = await readFacts(connection);
    if (facts.wal_level === 'minimal') {
      throw new DbkitError('server.settings', 'wal_level is minimal, so a running server cannot be backed up', {
        hint: 'set wal_level to replica and restart, or stop the server and back it up cold',
      });
    }
    return sessionOf(connection, facts);
  } catch (thrown) {
    await connection.end();
    throw thrown;
  }
}

interface Facts {
  version: string;
  in_recovery: boolean;
  wal_level: string;
  system_identifier: string;
}

async function readFacts(connection: Connection): Promise<Facts> {
  const [facts] = await connection.query<Facts>(
    `SELECT current_setting('server_version_num') AS version, pg_is_in_recovery() AS in_recovery,
            current_setting('wal_level') AS wal_level, (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier`,
  );
  return facts!;
}

function sessionOf(connection: Connection, facts: Facts): ServerSession {
  const versionNumber = Number(facts.version);
  const modern = versionNumber >= 150_000; // 15 renamed the functions and dropped the exclusive mode.
  return {
    versionNumber,
    systemIdentifier: facts.system_identifier,
    isStandby: facts.in_recovery,
    async start(label) {
      await holdWal(connection, label);
      const call = modern ? 'pg_backup_start($1, true)' : 'pg_start_backup($1, true, false)';
      const segment = facts.in_recovery ? 'NULL' : 'pg_walfile_name(lsn)';
      const [row] = await connection.query<{ lsn: string; segment: string | null }>(
        `SELECT lsn::text, ${segment} AS segment FROM (SELECT ${call} AS lsn OFFSET 0) AS started`,
        [label],
      );
      const timeline = row!.segment === null ? undefined : Number.parseInt(row!.segment.slice(0, 8), 16);
      return { startLsn: parseLsn(row!.lsn), timeline };
    },
    async stop() {
      // Not waiting for the archive: the WAL is copied from pg_wal and checked segment by segment.
      const call = modern ? 'pg_backup_stop(false)' : 'pg_stop_backup(false, false)';
      const bytes = (column: string): string => `convert_to(${column}, getdatabaseencoding()) AS ${column}`; // Unconverted.
      const [row] = await connection.query<{ lsn: string; labelfile: Buffer; spcmapfile: Buffer | null }>(
        `SELECT lsn::text, ${bytes('labelfile')}, ${bytes('spcmapfile')} FROM ${call}`,
      );
      return { stopLsn: parseLsn(row!.lsn), backupLabel: row!.labelfile, tablespaceMap: row!.spcmapfile ?? Buffer.alloc(0) };
    },
    async replayedTimeline() {
      if (!facts.in_recovery) return undefined;
      const [row] = await connection.query<{ timeline: number }>('SELECT min_recovery_end_timeline AS timeline FROM pg_control_recovery()');
      return row!.timeline;
    },
    end: () => connection.end(),
  };
}

/** A temporary slot that reserves WAL from now on, so no checkpoint recycles a segment that the copy still needs. */
async function holdWal(connection: Connection, label: string): Promise<void> {
  try {
    await connection.query('SELECT pg_create_physical_replication_slot($1, true, true)', [`dbkit_${label}`]);
  } catch (thrown) {
    if (sqlStateOf(thrown) !== '53400' && sqlStateOf(thrown) !== '55000') throw thrown;
    throw new DbkitError('server.settings', 'no replication slot is free to hold the WAL that the backup needs', {
      hint: 'raise max_replication_slots by one and restart the server',
      cause: thrown,
    });
  }
}
