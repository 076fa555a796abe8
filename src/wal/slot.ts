import { formatLsn, type Lsn, parseLsn } from '../formats/wal-segment.ts';
import type { Connection } from '../instance/connection.ts';
import { DbkitError } from '../kernel/errors.ts';

/** The physical replication slot that holds WAL back until it is in the archive. Nobody else reads it. */
export const OWN_SLOT = 'dbkit_archive';

const LOOK = `SELECT restart_lsn::text AS restart, to_jsonb(s) ->> 'wal_status' AS status FROM pg_replication_slots s WHERE slot_name = $1`;

/** WAL from here on is held back; undefined where there is no slot of ours, or it has lost what it held. */
export async function slotHolds(session: Connection): Promise<Lsn | undefined> {
  const [row] = await session.query<{ restart: string | null; status: string | null }>(LOOK, [OWN_SLOT]);
  return row?.restart && row.status !== 'lost' ? parseLsn(row.restart) : undefined;
}

/** Makes the slot, or makes it anew where it has lost WAL: it then holds what the next crash recovery needs. */
export async function makeSlot(session: Connection): Promise<Lsn | undefined> {
  await dropSlot(session);
  await session.query('SELECT pg_create_physical_replication_slot($1, true)', [OWN_SLOT]);
  return slotHolds(session);
}

/** Rejects with `server.settings` where a slot that nobody reads any more would hold WAL back until the disk is full. */
export async function requireLimit(session: Connection): Promise<void> {
  const [row] = await session.query<{ keep: string }>(`SELECT current_setting('max_slot_wal_keep_size') AS keep`);
  if (row?.keep !== '-1') return;
  throw new DbkitError('server.settings', 'max_slot_wal_keep_size is -1, so a slot that is left behind would fill the disk', {
    hint: "ALTER SYSTEM SET max_slot_wal_keep_size = '4GB'; SELECT pg_reload_conf()",
  });
}

/** Lets go of what lies before `lsn`; a slot that has come further stays where it is. */
export async function advanceSlot(session: Connection, lsn: Lsn): Promise<void> {
  await session.query(
    `SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots WHERE slot_name = $1 AND restart_lsn < $2::pg_lsn`,
    [OWN_SLOT, formatLsn(lsn)],
  );
}

/** Nothing where there is none. */
export async function dropSlot(session: Connection): Promise<void> {
  await session.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active', [
    OWN_SLOT,
  ]);
}
