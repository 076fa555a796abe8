import * as v from 'valibot';
import { SIZE } from '../kernel/units.ts';

const size = v.pipe(v.string(), v.regex(SIZE, "expected a size like '512MB' or '1GB'"));

/** The archive of WAL in the repository, which the supervisor keeps. */
const fields = v.strictObject({
  /** `tail`: kept as it is written. Default: tail for instances that dbkit has initialised, else off. */
  mode: v.optional(v.picklist(['tail', 'off'])),
  /** A commit returns when the archive has it: nothing that was acknowledged is lost with the data, and commits wait where the archive cannot be written. */
  synchronous: v.optional(v.boolean(), false),
  /** How often the supervisor looks: what is lost with the machine is about that long. */
  pollSeconds: v.optional(v.pipe(v.number(), v.minValue(0.02), v.maxValue(60)), 0.2),
  /** WAL that the data's volume holds back for an archive that cannot be written; beyond it a gap is told and the server goes on. */
  maxLag: v.optional(size, '1GB'),
  /** After so much WAL a base backup is taken, so that what is older can expire. */
  backupAfter: v.optional(size, '4GB'),
  /** How often the supervisor sends new WAL to each of `copies`. */
  copySeconds: v.optional(v.pipe(v.number(), v.minValue(0.2), v.maxValue(3600)), 10),
});
export const walSettings = v.pipe(
  fields,
  v.check(({ mode, synchronous }) => !(synchronous && mode === 'off'), 'synchronous needs the archive: leave mode out, or set it to tail'),
);
export type WalSettings = v.InferOutput<typeof walSettings>;

/** Shall dbkit keep the WAL? Not where pgBackRest does. Undefined where the configuration leaves it to whoever made the instance. */
export const wantsWal = ({
  wal: { mode, synchronous },
  tier,
  backup: { engine },
}: {
  readonly wal: WalSettings;
  readonly tier?: string | undefined;
  readonly backup: { readonly engine: 'dbkit' | 'pgbackrest' };
}): boolean | undefined =>
  engine === 'pgbackrest' ? false : mode === undefined ? synchronous || tier !== undefined || undefined : mode === 'tail';
