import { RM_XLOG, type WalRecord } from '../../formats/wal-reader.ts';

const RM_STANDBY = 8;
/** Checkpoints, no-op, switch, end of backup, parameters, end of recovery, redo point (pg_control.h). */
const quietXlog = new Set([0x00, 0x10, 0x20, 0x40, 0x50, 0x60, 0x90, 0xe0]);
/** A snapshot of the running transactions (standbydefs.h). */
const quietStandby = new Set([0x10]);

/** True if a record is one that an idle server writes by itself: it changes no row. */
export const isQuiet = ({ manager, info }: Pick<WalRecord, 'manager' | 'info'>): boolean =>
  (manager === RM_XLOG && quietXlog.has(info)) || (manager === RM_STANDBY && quietStandby.has(info));
