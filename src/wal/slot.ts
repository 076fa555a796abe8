import { formatLsn, type Lsn, parseLsn } from '../formats/wal-segment.ts';
import type { Connection } from '../instance/connection.ts';

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
