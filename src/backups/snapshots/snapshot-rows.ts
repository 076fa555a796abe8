import type { Refusal, Row } from '../../kernel/reasons.ts';
import { BRANCH_PREFIX } from './branch.ts';

/** The facts before a database is copied, to a snapshot (`save`) or out of one (`restore`, in its place), or given to another branch (`turn`). */
export interface SnapshotFacts {
  readonly does: 'save' | 'restore' | 'turn';
  readonly database: string;
  /** The name of a new snapshot, in bytes. */
  readonly nameBytes: number;
  /** The name holds a character that is no letter of any script, digit, punctuation or space. */
  readonly unprintable: boolean;
  /** It begins as the names of branches' snapshots do. */
  readonly isBranchs: boolean;
  readonly inRecovery: boolean;
  readonly isThere: boolean;
  /** One of those that every server has, and where dbkit itself asks. */
  readonly isServers: boolean;
  readonly isSnapshot: boolean;
  /** It accepts connections, and no DROP DATABASE of it was cut short. */
  readonly isOpen: boolean;
  /** The first prepared transaction in it, quoted; null: none. */
  readonly prepared: string | null;
  /** The first subscription in it that is enabled, quoted; null: none. */
  readonly subscription: string | null;
  readonly copyBytes: number;
  /** On the volume of the data; null where that is not known. */
  readonly freeBytes: number | null;
}

type SnapshotRow = Row<SnapshotFacts, 'copy' | 'refuse'> & { readonly refusal?: Refusal };

const NAME_BYTES_MAX = 63;

/** Can this database be copied, or have its place taken? First match wins. */
export const snapshotRows = [
  {
    id: 'snapshot-without-name',
    when: ({ nameBytes }) => nameBytes === 0,
    then: 'refuse',
    words: 'the name is empty',
    refusal: { code: 'usage.invalid', hint: 'name it, like before-migration, or leave the name out' },
  },
  {
    id: 'snapshot-name-too-long',
    when: ({ nameBytes }) => nameBytes > NAME_BYTES_MAX,
    then: 'refuse',
    words: 'the name has {nameBytes} bytes, and no more than 63 are possible',
    refusal: { code: 'usage.invalid', hint: 'choose a shorter name' },
  },
  {
    id: 'snapshot-name-unprintable',
    when: ({ unprintable }) => unprintable,
    then: 'refuse',
    words: 'the name holds a character that cannot be printed',
    refusal: { code: 'usage.invalid', hint: 'use letters, digits and punctuation' },
  },
  {
    id: 'snapshot-name-of-a-branch',
    when: ({ does, isBranchs }) => does === 'save' && isBranchs,
    then: 'refuse',
    words: 'names that begin with branch: are those of `dbkit snapshot auto`',
    refusal: { code: 'usage.invalid', hint: 'choose another name' },
  },
  {
    id: 'snapshot-on-a-standby',
    when: ({ inRecovery }) => inRecovery,
    then: 'refuse',
    words: 'this server is a standby, and databases can be made on the primary only',
    refusal: { code: 'recovery.refused', hint: 'run it on the primary; nothing was changed' },
  },
  {
    id: 'snapshot-of-the-servers-own',
    when: ({ isServers }) => isServers,
    then: 'refuse',
    words: 'the database {database} is the server’s own, and dbkit works from it',
    refusal: {
      code: 'usage.invalid',
      hint: 'name another with --database; `dbkit backup create --engine dump --database {database}` dumps it',
    },
  },
  {
    id: 'snapshot-of-a-snapshot',
    when: ({ isSnapshot }) => isSnapshot,
    then: 'refuse',
    words: 'the database {database} is a snapshot itself',
    refusal: { code: 'usage.invalid', hint: 'name the database that it was taken of: `dbkit snapshot list`' },
  },
  {
    id: 'snapshot-of-nothing',
    when: ({ does, isThere }) => does !== 'restore' && !isThere,
    then: 'refuse',
    words: 'there is no database {database}',
    refusal: { code: 'usage.invalid', hint: '`dbkit sql postgres -c "\\l"` lists the databases; --database names one' },
  },
  {
    id: 'snapshot-of-a-closed-database',
    when: ({ isThere, isOpen }) => isThere && !isOpen,
    then: 'refuse',
    words: 'the database {database} accepts no connections, or a DROP DATABASE of it was cut short',
    refusal: { code: 'recovery.refused', hint: 'ALTER DATABASE … WITH ALLOW_CONNECTIONS true opens it; nothing was changed' },
  },
  {
    id: 'snapshot-with-a-prepared-transaction',
    when: ({ prepared }) => prepared !== null,
    then: 'refuse',
    words: 'the prepared transaction {prepared} keeps the database {database} in use',
    refusal: {
      code: 'recovery.refused',
      hint: 'end it in that database with COMMIT PREPARED {prepared} or ROLLBACK PREPARED {prepared}; nothing was changed',
    },
  },
  {
    id: 'snapshot-with-a-subscription',
    when: ({ subscription }) => subscription !== null,
    then: 'refuse',
    words: 'the subscription {subscription} writes to the database {database}, and no copy can have it',
    refusal: {
      code: 'recovery.refused',
      hint: 'run ALTER SUBSCRIPTION {subscription} DISABLE in that database, and ENABLE afterwards; nothing was changed',
    },
  },
  {
    id: 'snapshot-without-room',
    when: ({ copyBytes, freeBytes }) => freeBytes !== null && freeBytes < copyBytes,
    then: 'refuse',
    words: 'the copy takes {copyBytes} bytes, and the volume of the data has {freeBytes} free',
    refusal: { code: 'volume.full', hint: 'free some space: `dbkit snapshot list` shows what snapshots take; nothing was changed' },
  },
  { id: 'snapshot-possible', when: () => true, then: 'copy', words: 'nothing keeps the database from being copied' },
] as const satisfies readonly SnapshotRow[];

/** Pure. The facts that a name alone gives. */
export const nameFacts = (name: string): Pick<SnapshotFacts, 'nameBytes' | 'unprintable' | 'isBranchs'> => ({
  nameBytes: Buffer.byteLength(name),
  isBranchs: name.startsWith(BRANCH_PREFIX),
  unprintable: /[\p{C}\p{Zl}\p{Zp}]/u.test(name),
});
