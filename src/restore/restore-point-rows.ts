import { decide, type Refusal, type Row } from '../kernel/reasons.ts';

/** The facts of a restore point before it is made. */
export interface RestorePointFacts {
  /** In bytes, as the server counts it. */
  readonly nameBytes: number;
  /** The name holds a character that is no letter of any script, digit, punctuation or space. */
  readonly unprintable: boolean;
  readonly inRecovery: boolean;
  readonly walLevel: string;
}

type RestorePointRow = Row<RestorePointFacts, 'make' | 'refuse'> & { readonly refusal?: Refusal };

/** xl_restore_point has room for 64 bytes, the last of which is zero (xlog_internal.h, MAXFNAMELEN). */
const NAME_BYTES_MAX = 63;

/** Can a restore point be made? First match wins. */
export const restorePointRows = [
  {
    id: 'restore-point-without-name',
    when: ({ nameBytes }) => nameBytes === 0,
    then: 'refuse',
    words: 'the name is empty',
    refusal: { code: 'usage.invalid', hint: 'name it, like before-release' },
  },
  {
    id: 'restore-point-name-too-long',
    when: ({ nameBytes }) => nameBytes > NAME_BYTES_MAX,
    then: 'refuse',
    words: 'the name has {nameBytes} bytes, and PostgreSQL takes no more than 63',
    refusal: { code: 'usage.invalid', hint: 'choose a shorter name' },
  },
  {
    id: 'restore-point-name-unprintable',
    when: ({ unprintable }) => unprintable,
    then: 'refuse',
    words: 'the name holds a character that cannot be printed',
    refusal: { code: 'usage.invalid', hint: 'use letters, digits and punctuation' },
  },
  {
    id: 'restore-point-on-a-standby',
    when: ({ inRecovery }) => inRecovery,
    then: 'refuse',
    words: 'this server is a standby and writes no WAL of its own',
    refusal: { code: 'recovery.refused', hint: 'run it on the primary; nothing was changed' },
  },
  {
    id: 'restore-point-with-minimal-wal',
    when: ({ walLevel }) => walLevel === 'minimal',
    then: 'refuse',
    words: 'wal_level is minimal, so the WAL does not hold what a restore to a moment needs',
    refusal: { code: 'recovery.refused', hint: 'set wal_level to replica, restart the server and take a base backup; nothing was changed' },
  },
  { id: 'restore-point-possible', when: () => true, then: 'make', words: 'the server writes WAL that holds everything' },
] as const satisfies readonly RestorePointRow[];

/** Nothing may be asked of the server before the name is known to be one: `server` undefined decides by the name alone. */
export const restorePointRow = (
  name: string,
  server: Pick<RestorePointFacts, 'inRecovery' | 'walLevel'> | undefined,
): RestorePointRow & { readonly facts: RestorePointFacts } => {
  const facts = {
    nameBytes: Buffer.byteLength(name),
    unprintable: /[\p{C}\p{Zl}\p{Zp}]/u.test(name),
    ...(server ?? { inRecovery: false, walLevel: 'replica' }),
  };
  return { ...decide<RestorePointFacts, RestorePointRow>(restorePointRows, facts), facts };
};
