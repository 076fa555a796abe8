import type { PostgresqlSettings } from '../config/config.ts';
import { serverOn } from '../instance/guard/preflight.ts';
import { openForServer } from '../instance/sessions.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';

const ASK_MS = 10_000;
const WAIT_MS = 60_000;
const POLL_MS = 100;

const SWITCH = `SELECT pg_walfile_name(pg_switch_wal()) AS segment WHERE NOT pg_is_in_recovery() AND current_setting('archive_mode') <> 'off'`;
const SENT = 'SELECT last_archived_wal >= $1 AS sent FROM pg_stat_archiver';

/**
 * Lets a running server close its segment, and waits until pgBackRest has it: so a moment of a second ago is in the repository. Where that does not come
 * to an end, what pg_wal has is copied as it is, and it is told.
 */
export async function sendRest(settings: PostgresqlSettings, { clock, log }: System, signal: AbortSignal): Promise<void> {
  if (typeof (await serverOn(settings.dataDir)) !== 'object') return;
  try {
    const session = await openForServer(settings, { connectTimeoutMs: ASK_MS, statementTimeoutMs: ASK_MS }, signal);
    try {
      const [closed] = await session.query<{ segment: string }>(SWITCH);
      const untilMs = clock.monotonicMs() + WAIT_MS;
      while (closed !== undefined && clock.monotonicMs() < untilMs) {
        const [row] = await session.query<{ sent: boolean | null }>(SENT, [closed.segment]);
        if (row?.sent) return;
        await clock.sleep(POLL_MS, signal);
      }
      if (closed !== undefined)
        log.warn('wal.not-sent', `pgBackRest has not taken ${closed.segment} within ${WAIT_MS / 1000} s; pg_wal is used as it is`);
    } finally {
      await session.end();
    }
  } catch (cause) {
    signal.throwIfAborted();
    log.warn('wal.not-sent', `the server could not be asked to archive its last WAL; pg_wal is used as it is: ${wordsOf(cause)}`);
  }
}
