import type { BackupOptions } from '../backups/backup.ts';
import { readCluster } from '../backups/base/cluster.ts';
import { refuse } from '../backups/engine-refusals.ts';
import { openDamageOf, policyOf } from '../backups/repository.ts';
import type { planRetention } from '../backups/retention.ts';
import { serverOn } from '../instance/guard/preflight.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import { lowerPriority } from '../machine/low-priority.ts';
import { annotationArguments, readInfo } from './catalog.ts';
import type { RestBackup } from './info.ts';
import type { Rest, RestNeeds } from './program.ts';
import { planRestRetention } from './retention.ts';
import { ensureStanza } from './stanza.ts';

const BACKUP_MS = 24 * 3_600_000;
const EXPIRE_MS = 3_600_000;
const LOCK_POLL_MS = 1_000;
/** An endless row of increments could never expire. */
const FULL_EVERY = 7;

/** Pure. Full: asked for, the first of its cluster, after a damaged one, or when its turn has come. */
export function typeOf(
  own: readonly Pick<RestBackup, 'type' | 'hasDamagedPages'>[],
  { full, fullEvery, between }: { readonly full: boolean; readonly fullEvery: number; readonly between: 'incr' | 'diff' },
): 'full' | 'incr' | 'diff' {
  const lastFull = own.findLastIndex(({ type }) => type === 'full');
  const every = fullEvery === 0 ? FULL_EVERY : fullEvery;
  return full || lastFull === -1 || own.slice(lastFull).some(({ hasDamagedPages }) => hasDamagedPages) || own.length - lastFull >= every
    ? 'full'
    : between;
}

/** Takes one backup of the running server. Rejects with `lock.held` when another one is still being taken after `waitMs`. */
export async function takeBackup(
  rest: Rest,
  { config, system }: Pick<RestNeeds, 'config' | 'system'>,
  { full = false, note, pin = false, lowPriority, rateLimit, waitMs = 0 }: BackupOptions,
  signal: AbortSignal,
): Promise<RestBackup> {
  const { dataDir } = config.postgresql;
  if (rateLimit !== undefined) throw refuse('pgbackrest-has-no-rate-limit');
  if (typeof (await serverOn(dataDir)) !== 'object') throw refuse('pgbackrest-needs-a-server');
  if (lowPriority) await lowerPriority(system, signal);
  const { systemIdentifier } = await readCluster(dataDir, signal);
  await ensureStanza(rest, { systemIdentifier, system }, signal);
  const ofCluster = async (): Promise<readonly RestBackup[]> =>
    (await readInfo(rest, signal)).backups.filter((one) => one.systemIdentifier === systemIdentifier);
  const before = await ofCluster();
  const damage = await openDamageOf({ config, system }, signal);
  const type = typeOf(before, { full, fullEvery: config.backup.fullEvery, between: config.pgbackrest.between });
  const words = annotationArguments({
    ...(note === undefined ? {} : { note }),
    ...(pin ? { pinned: 'yes' } : {}),
    ...(damage.length === 0 ? {} : { knownDamage: JSON.stringify(damage) }),
  });
  system.log.info('backup.started', `pgBackRest takes a backup (${type}).`, { type });
  await patiently(() => rest.run('backup', { args: [`--type=${type}`, ...words], timeoutMs: BACKUP_MS }, signal), waitMs, system, signal);
  const known = new Set(before.map(({ set }) => set));
  const made = (await ofCluster()).findLast(({ set }) => !known.has(set));
  if (made === undefined)
    throw new DbkitError('tool.failed', 'pgbackrest backup has ended well, and its repository has no new backup', {
      hint: '`dbkit backup list` shows what there is',
    });
  const { label, set, sizeBytes, storedBytes } = made;
  system.log.info('backup.created', `Base backup ${label} is complete.`, { label, set, type: made.type, sizeBytes, storedBytes });
  return made;
}

/** While another one works on the stanza. */
async function patiently<T>(work: () => Promise<T>, waitMs: number, { clock }: RestNeeds['system'], signal: AbortSignal): Promise<T> {
  const untilMs = clock.monotonicMs() + waitMs;
  for (;;) {
    try {
      return await work();
    } catch (cause) {
      if (!(cause instanceof DbkitError && cause.code === 'lock.held') || clock.monotonicMs() >= untilMs) throw cause;
    }
    await clock.sleep(LOCK_POLL_MS, signal);
  }
}

/** Retention; `justMade` stays. `dryRun` only says what it would do. */
export async function expireBackups(
  rest: Rest,
  { config, system }: Pick<RestNeeds, 'config' | 'system'>,
  { dryRun, justMade }: { readonly dryRun: boolean; readonly justMade?: string },
  signal: AbortSignal,
): Promise<ReturnType<typeof planRetention>> {
  const { backups } = await readInfo(rest, signal);
  const damageIsOpen = (await openDamageOf({ config, system }, signal)).length > 0;
  const { decisions, expire, fullsWithWal } = planRestRetention(backups, { ...policyOf(config), damageIsOpen, justMade });
  if (dryRun || backups.length === 0) return [...decisions];
  for (const { label, set } of expire) {
    const because = decisions.find((one) => one.label === label)?.because ?? '';
    try {
      await rest.run('expire', { args: [`--set=${set}`], timeoutMs: EXPIRE_MS }, signal);
      system.log.info('backup.expired', `Removed backup ${label}: ${because}.`, { label, because });
    } catch (cause) {
      signal.throwIfAborted();
      system.log.warn('backup.expire-failed', `Backup ${label} could not be removed.`, { label, reason: wordsOf(cause) });
    }
  }
  if (damageIsOpen) return [...decisions]; // WAL may be all that leads to what is damaged now.
  const wal = [`--repo1-retention-archive=${fullsWithWal}`, '--repo1-retention-archive-type=full'];
  await rest.run('expire', { args: wal, timeoutMs: EXPIRE_MS }, signal);
  return [...decisions];
}
