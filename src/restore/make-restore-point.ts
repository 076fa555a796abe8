import type { Backups } from '../backups/backup.ts';
import { everyBackup } from '../backups/find-backup.ts';
import type { Config } from '../config/config.ts';
import { openForServer } from '../instance/sessions.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Files, Logger } from '../kernel/machine.ts';
import { fill } from '../kernel/reasons.ts';
import { readKeeping } from '../wal/keeping.ts';
import { restorePointRow } from './restore-point-rows.ts';

/** JSON; fields are only ever added. */
export interface RestorePointReport {
  readonly name: string;
  /** PostgreSQL's notation: the record's end. */
  readonly lsn: string;
  readonly timeline: number;
  /** The newest good base backup, from which it can be reached; null where there is none. */
  readonly backup: string | null;
  /** The supervisor keeps the WAL in the archive: else the point is lost with pg_wal. */
  readonly kept: boolean;
}

const CONNECT_MS = 10_000;
const ANSWER_MS = 60_000;
const ASKED = `SELECT pg_is_in_recovery() AS recovering, current_setting('wal_level') AS level,
  (SELECT system_identifier::text FROM pg_control_system()) AS system`;
const MADE = 'SELECT lsn::text AS lsn, pg_walfile_name(lsn) AS segment FROM pg_create_restore_point($1) AS lsn';

/** pg_create_restore_point (Functions and Operators, "Backup Control Functions"). Rejects with `usage.invalid`, `recovery.refused`, `service.unready`. */
export async function makeRestorePoint(
  needs: { readonly config: Config; readonly files: Files; readonly log: Logger; readonly backups: readonly Backups[] },
  name: string,
  signal: AbortSignal,
): Promise<RestorePointReport> {
  const { config, files, log } = needs;
  refuse(name, undefined);
  const session = await openForServer(config.postgresql, { connectTimeoutMs: CONNECT_MS, statementTimeoutMs: ANSWER_MS }, signal);
  try {
    const [server] = await session.query<{ recovering: boolean; level: string; system: string }>(ASKED);
    refuse(name, { inRecovery: server!.recovering, walLevel: server!.level });
    const [made] = await session.query<{ lsn: string; segment: string }>(MADE, [name]);
    const keeping = await readKeeping(config.stateDir, files);
    const kept = keeping?.state === 'keeping' && keeping.systemIdentifier === server!.system;
    const good = (await everyBackup(needs, signal)).find(
      ({ backup, of }) => of.kind === 'physical' && backup.state !== 'damaged' && backup.systemIdentifier === server!.system,
    );
    if (!good)
      log.warn(
        'restore-point.unreachable',
        'There is no good base backup, and one that is taken now ends behind this restore point: nothing leads to it',
      );
    else if (!kept) log.warn('restore-point.not-kept', 'The WAL is not kept in an archive: the point can be reached while pg_wal has it');
    const timeline = Number.parseInt(made!.segment.slice(0, 8), 16);
    return { name, lsn: made!.lsn, timeline, backup: good?.backup.label ?? null, kept };
  } finally {
    await session.end();
  }
}

function refuse(name: string, server: Parameters<typeof restorePointRow>[1]): void {
  const { then, refusal, words, facts } = restorePointRow(name, server);
  if (then === 'refuse')
    throw new DbkitError(refusal!.code, `no restore point was made: ${fill(words, { ...facts })}`, { hint: refusal!.hint });
}
