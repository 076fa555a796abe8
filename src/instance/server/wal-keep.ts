import { join } from 'node:path';
import { settingOf } from '../../formats/conf.ts';
import { sizeBytes } from '../../kernel/units.ts';
import { roomAt } from '../../machine/disk-usage.ts';
import { isInitializedByDbkit } from '../initialize/configuration.ts';
import type { Local } from '../local.ts';

const MIB = 1024 * 1024;
/** The part of a volume that old WAL never takes. */
const RESERVED = 0.2;

/** How much WAL may stay, in bytes: as much as is asked for, and never into the last fifth of the volume. Pure. */
export const walKeepBytes = (wantedBytes: number, volume: { readonly sizeBytes: number; readonly freeBytes: number }): number =>
  Math.max(0, Math.min(wantedBytes, volume.freeBytes - volume.sizeBytes * RESERVED));

/**
 * `wal_keep_size` for instances that dbkit initialised: WAL back to the newest backup lets a restore lose nothing (planRollForward). Whoever
 * has set it himself is left alone. Decided at each start, as volumes fill.
 */
export async function walKeepSetting(local: Local, wanted: string): Promise<Readonly<Record<string, string>>> {
  const { dataDir } = local.volume;
  if ('wal_keep_size' in local.settings.settings || (await settingOf(dataDir, 'wal_keep_size')) !== undefined) return {};
  if (!(await isInitializedByDbkit(dataDir))) return {};
  const keep = walKeepBytes(sizeBytes(wanted), await roomAt(join(dataDir, 'pg_wal')));
  return { wal_keep_size: `${Math.floor(keep / MIB)}MB` };
}
