import * as v from 'valibot';
import { makeLabel } from '../../kernel/labels.ts';
import { type DatabaseProperties, propertiesSchema } from '../dump/manifest.ts';

/** The comment of a snapshot's database, as JSON. Fields are only ever added. */
const recordSchema = v.object({
  schema: v.literal('dbkit.snapshot/v1'),
  /** The database that it is a copy of. */
  of: v.string(),
  name: v.string(),
  at: v.pipe(v.string(), v.isoTimestamp()),
  sizeBytes: v.number(),
  properties: propertiesSchema,
});

/** One snapshot, as `--json` shows it; fields are only ever added. */
export interface Snapshot {
  readonly name: string;
  /** The database that it is a copy of. */
  readonly of: string;
  readonly at: string;
  readonly sizeBytes: number;
  /** The database in the same server that holds it. */
  readonly database: string;
}

/** With the properties that the database had, which no copy of its files has. */
export interface KeptSnapshot extends Snapshot {
  readonly properties: DatabaseProperties;
}

/** A database of the server, by name, with its comment; `isOurs`: it belongs to a superuser, or to the role that asks, so that nobody else wrote that comment. */
export interface CommentedDatabase {
  readonly database: string;
  readonly comment: string | null;
  readonly isOurs: boolean;
}

const DATABASE = /^dbkit_snapshot_\d{8}_\d{6}$/;
const SECOND_MS = 1_000;

/** Pure. The database of a new snapshot: one name for each second, and one that nobody has. */
export function snapshotDatabase(at: Date, taken: readonly string[]): string {
  const name = makeLabel('replaced', at).replace('replaced_', 'dbkit_snapshot_');
  return taken.includes(name) ? snapshotDatabase(new Date(at.getTime() + SECOND_MS), taken) : name;
}

/** Pure. A name for a snapshot that nobody named: when it was made, in UTC. */
export const nameOfMoment = (at: Date): string => makeLabel('data', at).replace('data_', '');

/** Pure. The comment that makes a database a snapshot. */
export const commentOf = ({ of, name, at, sizeBytes, properties }: Omit<KeptSnapshot, 'database'>): string =>
  JSON.stringify({ schema: 'dbkit.snapshot/v1', of, name, at, sizeBytes, properties });

/** Pure. Undefined for a database that is no snapshot: another name, another's, or a comment that dbkit did not write. */
export function asSnapshot({ database, comment, isOurs }: CommentedDatabase): KeptSnapshot | undefined {
  if (!isOurs || comment === null || !DATABASE.test(database)) return undefined;
  try {
    const read = v.safeParse(recordSchema, JSON.parse(comment));
    if (!read.success) return undefined;
    const { schema: _schema, ...record } = read.output;
    return { ...record, database };
  } catch {
    return undefined; // Not JSON.
  }
}
