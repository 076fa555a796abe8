import type { HealthSettings } from '../../config/health-settings.ts';
import { bytes } from '../../kernel/units.ts';
import { OWN_SLOT } from '../../wal/slot.ts';
import type { Slot } from '../facts.ts';
import { judge, worstOf } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { asking } from './asking.ts';
import type { SharedSessions } from './sessions.ts';

/** A standby has slots too: what it received is then the end of its WAL. The archive's own slot is the probe wal-archive's to judge. */
const SLOTS = `
  SELECT slot_name AS name, slot_type AS kind, active, to_jsonb(s) ->> 'wal_status' AS wal_status,
         greatest(0, coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), 0))::float8 AS retained
    FROM pg_replication_slots s WHERE NOT temporary AND slot_name <> '${OWN_SLOT}' ORDER BY slot_name`;
const WANTED = `SELECT setting::float8 * 1024 * 1024 AS wanted FROM pg_settings WHERE name = 'max_wal_size'`;

interface Judged {
  readonly status: 'ok' | 'warning' | 'critical';
  readonly summary: string;
  readonly hint: string | undefined;
}

/**
 * Replication slots whose reader is gone, or that have lost what he needs. A replica that never comes back leaves no row in
 * pg_stat_replication; its slot is all that is left of it, and keeps WAL until the disk is full.
 */
export function slotsProbe({ slotRetention }: HealthSettings, sessions: SharedSessions): ProbeOf<'slots'> {
  return asking(sessions, { name: 'slots', title: 'replication slots' }, async ({ session }): Promise<ResultOf<'slots'>> => {
    const rows = await session.query<{ name: string; kind: Slot['kind']; active: boolean; wal_status: string | null; retained: number }>(
      SLOTS,
    );
    if (rows.length === 0) return { status: 'ok', summary: 'no replication slots' };
    const [row] = await session.query<{ wanted: number }>(WANTED);
    const slots = rows.map(
      ({ name, kind, active, wal_status: walStatus, retained: retainedBytes }): Slot => ({ name, kind, active, walStatus, retainedBytes }),
    );
    const judged = slots.map((slot) => judgeSlot(slot, row!.wanted, slotRetention));
    const status = worstOf(judged.map((one) => one.status));
    const bad = judged.filter((one) => one.status !== 'ok');
    return {
      status,
      summary: bad.length === 0 ? `every slot is read (${slots.length})` : bad.map(({ summary }) => summary).join('; '),
      hint: judged.find((one) => one.status === status)?.hint,
      data: slots,
    };
  });
}

/** Pure. */
export function judgeSlot(
  { name, kind, active, walStatus, retainedBytes }: Slot,
  wantedBytes: number,
  levels: HealthSettings['slotRetention'],
): Judged {
  const drop = `\`SELECT pg_drop_replication_slot('${name.replaceAll("'", "''")}')\``;
  const reader = kind === 'logical' ? 'its subscriber' : 'its replica';
  if (walStatus === 'lost')
    return {
      status: 'critical',
      summary: `slot ${name} has lost WAL that ${reader} needs`,
      hint: `rebuild ${reader}, then drop the slot: ${drop}`,
    };
  const kept = judge(retainedBytes / Math.max(1, wantedBytes), levels);
  if (active && kept === 'ok') return { status: 'ok', summary: '', hint: undefined };
  if (active)
    return {
      status: kept,
      summary: `slot ${name} is ${bytes(retainedBytes)} behind`,
      hint: `look at ${reader}: its disk, its network, a long transaction`,
    };
  return {
    status: kept === 'ok' ? 'warning' : kept,
    summary: `slot ${name} is read by nobody and keeps ${bytes(retainedBytes)} of WAL`,
    hint: `check ${reader}; if it will not come back: ${drop}`,
  };
}
