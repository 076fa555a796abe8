import type { Lsn } from '../../formats/wal-segment.ts';

/** The objects and rows that a transaction took away, as far as its WAL tells; TRUNCATE and REINDEX of a table with its indexes are told apart by the table's file. */
export type DestructionKind = 'drop' | 'truncate' | 'rewrite' | 'drop-database' | 'delete';

export interface Destruction {
  readonly kind: DestructionKind;
  readonly database: string;
  /** 'schema.table', in double quotes where SQL needs them (`readName` reads it); what has no name that can be read is called by its file. */
  readonly names: readonly string[];
  /** Deleted rows; 0 for every other kind. */
  readonly rows: number;
}

/** Something in the WAL that people look for. Times are microseconds since 1970, UTC. */
export type Moment =
  | {
      readonly kind: 'commit' | 'abort';
      readonly lsn: Lsn;
      readonly xid: number;
      readonly subtransactions: readonly number[];
      readonly atMicros: bigint;
      readonly destruction: Destruction | undefined;
    }
  | { readonly kind: 'restore-point'; readonly lsn: Lsn; readonly name: string; readonly atMicros: bigint }
  /** A shutdown checkpoint: the server was stopped, or came up from a crash. */
  | { readonly kind: 'restart'; readonly lsn: Lsn; readonly atMicros: bigint }
  | { readonly kind: 'timeline'; readonly lsn: Lsn; readonly timeline: number; readonly previous: number; readonly atMicros: bigint };

/** '2026-11-20 19:54:00.123456+00': as PostgreSQL reads and prints it. */
export function formatMicros(micros: bigint): string {
  const iso = new Date(Number(micros / 1000n)).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}.${(micros % 1_000_000n).toString().padStart(6, '0')}+00`;
}

/** '2026-11-20T19:54:00.123456Z': RFC 3339, as it stands in JSON; `--to` takes it too. */
export const isoOfMicros = (micros: bigint): string => formatMicros(micros).replace(' ', 'T').replace('+00', 'Z');
