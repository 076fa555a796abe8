import type { System } from '../../kernel/machine.ts';
import type { Backup } from '../backup.ts';
import type { Packing } from '../base/pages/packed.ts';
import type { Holdings } from '../holdings.ts';
import type { KeptRecord } from '../repository.ts';

/** The backups of the repository, while nobody removes them or writes over their files. */
export interface HeldBackups {
  /** Of the backup that is copied, which the caller holds. */
  readonly packing: Packing;
  /** Its record as that of a plain backup, which the copy is; undefined where it stands so in the repository. */
  readonly record: Buffer | undefined;
  /** Holds another one; undefined where that is gone, or somebody changes it just now. */
  holding<T>(label: string, work: (packing: Packing | undefined) => Promise<T>): Promise<T>;
}

/** Where every backup is plain, and nobody else is. */
export const plainBackups: HeldBackups = { packing: { packed: [] }, record: undefined, holding: (_label, work) => work({ packed: [] }) };

type Listed = KeptRecord & Partial<Packing>;

/** `backup` is held by the caller. */
export async function heldBackups(
  { pathOf, recordOf, wholeOf }: Pick<Holdings<Listed>, 'pathOf' | 'recordOf' | 'wholeOf'>,
  backup: Backup,
  { locks }: System,
  signal: AbortSignal,
): Promise<HeldBackups> {
  const { packed = [] } = await recordOf(backup, signal);
  const whole = packed.length > 0 ? await wholeOf(backup, signal) : undefined;
  return {
    packing: { packed },
    record: whole && Buffer.from(`${JSON.stringify({ ...whole, schema: 'dbkit.backup/v1', packed: [] })}\n`),
    async holding(label, work) {
      const lock = await locks.hold(pathOf(label), 'shared').catch(() => undefined);
      try {
        const record = lock && (await recordOf({ label }, signal).catch(() => undefined));
        return await work(record && { packed: record.packed ?? [] });
      } finally {
        await lock?.release();
      }
    },
  };
}
