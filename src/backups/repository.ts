import type { Config } from '../config/config.ts';
import { tiers } from '../config/tiers.ts';
import { damageMemory, type KnownDamage } from '../inspection/known-damage.ts';
import { readControl } from '../inspection/state.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { durationMs } from '../kernel/units.ts';
import type { Backup, BackupDetails, Repository, RetentionDecision } from './backup.ts';
import type { Recorded } from './catalog.ts';
import { inWords } from './disk-failures.ts';
import { expireBackups } from './expire.ts';
import { type HeldKind, type Holdings, openHoldings } from './holdings.ts';
import { awaitedCopies } from './offsite/notes.ts';
import { type Candidate, planRetention, type RetentionPolicy } from './retention.ts';

/** The parts that tell one kind of backup from another: its labels, how its records are read, and what they say. */
export interface RecordKind<R extends Recorded, W extends R = R> extends HeldKind<R, W> {
  toBackup(record: R, path: string): Backup;
  describe(record: R): BackupDetails;
}

/** The fields of a record of any kind: people's words, and what retention looks at. */
export interface KeptRecord extends Recorded, Candidate {
  readonly note?: string | null | undefined;
}

/** BACKUP_DIR as one kind of backup uses it (DESIGN.md section 5). Kinds share its lock, and touch only what is theirs. */
export interface RepositoryOf<R extends Recorded, W extends R = R> extends Repository, Holdings<R, W> {
  asBackup(record: R): Backup;
  /** Changes a record by what a reading found: where it cannot be written the old one stays, and the result still reaches the caller. */
  remember(label: string, change: (record: R) => R, signal: AbortSignal): Promise<void>;
  /** Damage of the data that is neither mended nor accepted. */
  openDamage(signal: AbortSignal): Promise<readonly KnownDamage[]>;
  /** Retention, under the lock and after a good backup, which it never takes. */
  expireAfter(justMade: string, signal: AbortSignal): Promise<void>;
}

export function openRepository<R extends KeptRecord, W extends R>(
  kind: RecordKind<R, W>,
  { config, owner, system }: { readonly config: Config; readonly owner: Identity | undefined; readonly system: System },
): RepositoryOf<R, W> {
  const holdings = openHoldings(kind, config.backupDir, owner, system);
  const { records, recordOf, change } = holdings;
  const openDamage = (signal: AbortSignal): Promise<readonly KnownDamage[]> => openDamageOf({ config, system }, signal);
  const policyNow = async (signal: AbortSignal): Promise<RetentionPolicy> => ({
    ...policyOf(config),
    damageIsOpen: (await openDamage(signal)).length > 0,
    awaits: await awaitedCopies(config, system.files),
  });
  const asBackup = (record: R): Backup => kind.toBackup(record, holdings.pathOf(record.label));
  return {
    ...holdings,
    asBackup,
    openDamage,
    async remember(label, changeRecord, signal) {
      await change(label, changeRecord, signal).catch((cause: unknown) => {
        signal.throwIfAborted();
        system.log.warn('backup.not-recorded', `The result of verifying ${label} could not be recorded.`, {
          label,
          reason: wordsOf(cause),
        });
      });
    },
    async expireAfter(justMade, signal) {
      await expireBackups(holdings, { ...(await policyNow(signal)), justMade }, system, signal);
    },
    list: (signal) => inWords(`list the backups in ${config.backupDir}`, async () => (await records(signal)).map(asBackup)),
    describe: async (backup, signal) => kind.describe(await recordOf(backup, signal)),
    annotate: (backup, words, signal) =>
      inWords(`write the record of ${backup.label}`, async () => {
        const changed = await change(backup.label, (record) => ({ ...record, ...words }), signal);
        return asBackup(changed ?? (await recordOf(backup, signal)));
      }),
    expire: ({ dryRun }, signal) =>
      inWords('apply retention', async (): Promise<readonly RetentionDecision[]> => {
        const policy = await policyNow(signal);
        if (dryRun) return planRetention(await records(signal), policy);
        return holdings.locked('expire', () => expireBackups(holdings, policy, system, signal), signal);
      }),
  };
}

/** Damage of the data that is neither mended nor accepted. Nothing expires where the disk of the data does not answer. */
export async function openDamageOf(
  { config: { stateDir, postgresql }, system }: { readonly config: Config; readonly system: System },
  signal: AbortSignal,
): Promise<readonly KnownDamage[]> {
  const read = readControl(postgresql.dataDir);
  signal.throwIfAborted();
  if (!('control' in read)) return [];
  return damageMemory({ dataDir: postgresql.dataDir, stateDir }, system).open(read.control.systemIdentifier);
}

/** The settings of retention, as its table asks for them. */
export const policyOf = ({ retention, maxBackups, tier }: Config): RetentionPolicy => {
  const { last = maxBackups, daily = tier && tiers[tier].keptDays, weekly, monthly, maxAge } = retention;
  return { last, daily, weekly, monthly, maxAgeMs: maxAge === undefined ? undefined : durationMs(maxAge) };
};
