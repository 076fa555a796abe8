import type { BaseBackups } from '../../backups/backup.ts';
import { createBaseBackups } from '../../backups/base/base-backups.ts';
import type { PointPlan, PointRequest } from '../../backups/base/points/point.ts';
import type { PostgresqlOptions } from '../../boot/hold.ts';
import type { Config } from '../../config/config.ts';
import { serverOwner } from '../../instance/owner.ts';
import { openForServer } from '../../instance/sessions.ts';
import { DbkitError, isAbort } from '../../kernel/errors.ts';
import { askEveryDatabase, type Checks } from '../checks.ts';
import { onServer, type Reach } from '../counted-rows.ts';
import { onScratchCopy, type Scratch } from '../scratch.ts';
import { nextXidOf, type Reached } from './loss.ts';

/** The moment that the WAL which is kept leads to, on the timeline that was served. */
export const latestOn = (timeline: number | undefined): PointRequest => ({ to: 'latest', value: '', exclusive: false, timeline });

/** The backups as they are found where the data is gone: nothing of its pg_wal is read. */
export async function withoutTheData(
  { config, system }: Pick<PostgresqlOptions, 'config' | 'system'>,
  backupDir: string,
): Promise<BaseBackups> {
  const owner = await serverOwner(config.postgresql, system);
  const dataDir = `${backupDir}/.partial/gone`;
  const blind: Config = { ...config, backupDir, postgresql: { ...config.postgresql, dataDir } };
  return createBaseBackups({ config: blind, system, dataDir, owner });
}

/** How far the running server has come, its timeline, and if a transaction that has a number is open; undefined where it does not answer or follows another. */
export async function reachedNow(
  { config: { postgresql }, system: { clock } }: Pick<PostgresqlOptions, 'config' | 'system'>,
  signal: AbortSignal,
): Promise<(Reached & { readonly timeline: number; readonly isBusy: boolean }) | undefined> {
  const session = await openForServer(postgresql, {}, signal).catch((cause: unknown) => {
    if (isAbort(cause)) throw cause;
    return undefined;
  });
  if (session === undefined) return undefined;
  try {
    const [row] = await session.query<{ name: string | null; busy: boolean }>(
      `SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_flush_lsn()) END AS name,
              pg_snapshot_xmin(pg_current_snapshot()) <> pg_snapshot_xmax(pg_current_snapshot()) AS busy`,
    );
    if (!row?.name) return undefined;
    return { at: clock.now(), nextXid: await nextXidOf(session), timeline: Number.parseInt(row.name.slice(0, 8), 16), isBusy: row.busy };
  } finally {
    await session.end();
  }
}

/** Whoever reaches the copy's private socket is let in. */
export const reachOf = ({ local: { settings }, socketDir }: Pick<Scratch, 'local' | 'socketDir'>): Reach => ({
  ...settings,
  socketDir,
  dataDir: undefined,
});

export interface CameBack {
  readonly scratch: Scratch;
  readonly reach: Reach;
  readonly plan: PointPlan;
  /** From when it was begun until every database answered. */
  readonly tookMs: number;
  readonly databases: number;
  readonly nextXid: bigint;
}

/** Brings everything back that is kept, starts it, and asks every database; then `work` looks at it. */
export async function comeBack<T>(
  options: PostgresqlOptions,
  { of, point }: { readonly of: BaseBackups; readonly point: PointRequest },
  checks: Checks,
  signal: AbortSignal,
  work: (back: CameBack) => Promise<T>,
): Promise<T> {
  const { clock } = options.system;
  const begunMs = clock.monotonicMs();
  const plan = await of.findPoint(point, undefined, signal);
  const backup = (await of.repository.list(signal)).find(({ label }) => label === plan.label);
  if (backup === undefined) throw new DbkitError('backup.missing', `${plan.label} has expired meanwhile`, { hint: 'run the drill again' });
  return onScratchCopy(options, { backup, of, point }, signal, async (scratch) => {
    const databases = await askEveryDatabase(checks, scratch, signal);
    const tookMs = clock.monotonicMs() - begunMs;
    const reach = reachOf(scratch);
    const nextXid = await onServer(reach, signal, nextXidOf);
    return work({ scratch, reach, plan, tookMs, databases, nextXid });
  });
}
