import * as v from 'valibot';
import { knownDamageSchema } from '../../inspection/known-damage.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Backup, BackupDetails } from '../backup.ts';
import type { RecordKind } from '../repository.ts';
import { packedSchema } from './pages/packed.ts';
import { settleTakeovers } from './pages/settle.ts';
import type { FileStamp } from './sharing.ts';

const text = v.pipe(v.string(), v.nonEmpty());
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const digits = v.pipe(v.string(), v.regex(/^\d+$/));
const lsn = v.pipe(v.string(), v.regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/));
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

/** A segment, the last one of a timeline, a backup's note of its start, or the history of a timeline (xlog_internal.h). */
const walName = v.pipe(
  v.string(),
  v.regex(/^([0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history)$/, 'is no name of a WAL file'),
);

type Source = [path: string, sizeBytes: number, mtimeNs: string, ctimeNs: string, inode: string];
/** By hand: a record has a row for each file, and the library would spend longer on them than on everything else that a list of backups costs. */
const isSource = (row: unknown): row is Source => {
  if (!Array.isArray(row) || row.length !== 5) return false;
  const [path, sizeBytes, ...stamps] = row as unknown[];
  if (typeof path !== 'string' || typeof sizeBytes !== 'number' || !Number.isInteger(sizeBytes) || sizeBytes < 0) return false;
  return stamps.every((stamp) => typeof stamp === 'string' && /^\d+$/.test(stamp));
};

const entries = {
  /** v2 where a later backup has taken files over, so that no dbkit of before takes it for a plain one. */
  schema: v.picklist(['dbkit.backup/v1', 'dbkit.backup/v2']),
  label: v.pipe(v.string(), v.regex(/^data_\d{8}_\d{6}$/)),
  engine: v.literal('copy'),
  kind: v.literal('physical'),
  /** Hot: of a running server, consistent after replaying its WAL. Cold: of one that was shut down cleanly. */
  mode: v.picklist(['hot', 'cold']),
  /** Of a server in recovery: its WAL ends where that was, not with a segment. */
  fromStandby: v.optional(v.boolean(), false),
  state: v.picklist(['good', 'verified', 'proven', 'damaged']),
  createdAt: v.pipe(v.string(), v.isoTimestamp()),
  verifiedAt: v.optional(v.nullable(v.string()), null),
  /** True if it read page checksums and the WAL too. */
  verifiedDeep: v.optional(v.boolean(), false),
  /** The defect that the last verification found; null when all was right. */
  problem: v.optional(v.nullable(v.string()), null),
  /** The last drill that passed, and what it measured. */
  provenAt: v.optional(v.nullable(v.string()), null),
  rtoMs: v.optional(v.nullable(v.number()), null),
  pinned: v.optional(v.boolean(), false),
  note: v.optional(v.nullable(v.string()), null),
  /** PostgreSQL's major version. */
  pgVersion: count,
  systemIdentifier: digits,
  /** Where the WAL that the copy needs begins and ends, and on which timeline. */
  startLsn: lsn,
  stopLsn: lsn,
  checkpointLsn: lsn,
  timeline: count,
  walSegmentSizeBytes: count,
  /** All of it, with the WAL; and what it cost: the bytes that are not shared with an earlier backup. */
  sizeBytes: count,
  newBytes: count,
  files: count,
  sharedFiles: count,
  /** The label it shares files with, and how. */
  previous: v.nullable(text),
  sharing: v.picklist(['reflink', 'hardlink', 'none']),
  durationMs: v.pipe(v.number(), v.minValue(0)),
  /** Blocks whose checksum is wrong, per file; the state is 'damaged' when there are any. */
  damage: v.array(v.object({ path: text, blocks: v.array(count) })),
  /** Damage of the data that was known, and neither mended nor accepted, when it was taken. */
  knownDamage: v.optional(v.array(knownDamageSchema), []),
  /** The manifest's own digest: a manifest swapped for another's is noticed. */
  manifestSha256: digest,
  /** WAL stored with the backup; PostgreSQL's manifest does not list it. */
  wal: v.array(v.object({ name: walName, sizeBytes: count, sha256: digest })),
  /** Tablespaces lie inside the backup under pg_tblspc/<oid>; this is where they were. */
  tablespaces: v.array(v.object({ oid: digits, location: text })),
  /** The map that pg_backup_stop returned, byte for byte (latin1); null when there are no tablespaces. */
  tablespaceMap: v.nullable(v.string()),
  /** A tablespace was made while it was taken: replaying that leads to the original place. */
  createsTablespaces: v.optional(v.boolean(), false),
  groupAccess: v.boolean(),
  /** When the walk began; a file that changed later than shortly before is never shared from this backup. */
  copyBeganNs: digits,
  /** Files that a later backup has taken over, and how they are what they were. */
  packed: v.optional(v.array(packedSchema), []),
};

const recordSchema = v.looseObject(entries);
const wholeSchema = v.looseObject({
  ...entries,
  /** Path (one character a byte), size, mtime ns, ctime ns and inode of each source file, as seen before it was read. */
  sources: v.custom<Source[]>((value) => Array.isArray(value) && value.every(isSource), 'must be a list of files with their stamps'),
});

/** dbkit's record of a base backup, without the rows of its files: what a list, retention and a restore look at. */
export type BackupRecord = v.InferOutput<typeof recordSchema>;

/** As it stands in `BACKUP_DIR/<label>.json`, which is written last. Fields are only ever added, and `sources` stays the last of them. */
export type WholeRecord = v.InferOutput<typeof wholeSchema>;

/**
 * When it had ended, in microseconds since 1970: `createdAt` is written after the copy and its WAL. Rounded up: at a time before it a commit may
 * be missing that no WAL tells of.
 */
export const endedAtMicros = ({ createdAt }: Pick<BackupRecord, 'createdAt'>): bigint => BigInt(Date.parse(createdAt) + 1) * 1000n;

/** The facts for the rest of dbkit. */
const toBackup = (record: BackupRecord, path: string): Backup => ({
  label: record.label,
  path,
  kind: record.kind,
  createdAt: record.createdAt,
  state: record.state,
  pgVersion: record.pgVersion,
  systemIdentifier: record.systemIdentifier,
  sizeBytes: record.sizeBytes,
  newBytes: record.newBytes,
  note: record.note,
  pinned: record.pinned,
  verifiedAt: record.verifiedAt,
  provenAt: record.provenAt,
  isPlain: record.packed.length === 0,
  ...(record.rtoMs === null ? {} : { restoreMs: record.rtoMs }),
  ...(record.knownDamage.length > 0 ? { knownDamage: record.knownDamage } : {}),
});

/** Details for `backup show` beyond the list. */
const describeRecord = (record: BackupRecord): BackupDetails => ({
  mode: record.fromStandby ? `${record.mode}, from a standby` : record.mode,
  systemIdentifier: record.systemIdentifier,
  timeline: record.timeline,
  startLsn: record.startLsn,
  stopLsn: record.stopLsn,
  wal: record.wal.map(({ name }) => name),
  files: record.files,
  sharedFiles: record.sharedFiles,
  sharedWith: record.previous,
  sharing: record.sharing,
  isPlain: record.packed.length === 0,
  packedFiles: record.packed.map(({ path, deltas }) => `${Buffer.from(path, 'latin1').toString('utf8')}: ${deltas.length} deltas`),
  tablespaces: record.tablespaces.map(({ oid, location }) => `${oid} ${Buffer.from(location, 'latin1').toString('utf8')}`),
  damagedFiles: record.damage.map(({ path, blocks }) => `${Buffer.from(path, 'latin1').toString('utf8')}: ${blocks.length} pages`),
  knownDamage: record.knownDamage.map(({ path, evidence }) => `${path}: ${evidence}`),
  verifiedDeep: record.verifiedDeep,
  problem: record.problem,
  restoreTookMs: record.rtoMs,
  durationMs: record.durationMs,
});

/** A record that lost its list would be taken for that of a plain backup. Throws `data.corrupt`. */
function versioned<R extends Pick<BackupRecord, 'schema' | 'packed' | 'label'>>(record: R): R {
  if ((record.schema === 'dbkit.backup/v2') === record.packed.length > 0) return record;
  throw new DbkitError(
    'data.corrupt',
    `the record of ${record.label} is of ${record.schema} and names ${record.packed.length} files that are not plain`,
  );
}

export const baseBackupRecords: RecordKind<BackupRecord, WholeRecord> = {
  kind: 'data',
  parse: (value) => versioned(v.parse(wholeSchema, value)),
  rows: { field: 'sources', parseWithout: (value) => versioned(v.parse(recordSchema, value)) },
  toBackup,
  describe: describeRecord,
  settle: settleTakeovers,
};

export const packStamp = (path: string, { sizeBytes, mtimeNs, ctimeNs, inode }: FileStamp): WholeRecord['sources'][number] => [
  path,
  sizeBytes,
  mtimeNs.toString(),
  ctimeNs.toString(),
  inode.toString(),
];

/** The stamp of a record's source file by its path. Rows are unpacked as they are asked for: so many of them twice would take more than the copy. */
export function stampsOf(record: WholeRecord): (path: string) => FileStamp | undefined {
  const rows = new Map(record.sources.map((row) => [row[0], row]));
  return (path) => {
    const row = rows.get(path);
    if (row === undefined) return undefined;
    const [, sizeBytes, mtimeNs, ctimeNs, inode] = row;
    return { sizeBytes, mtimeNs: BigInt(mtimeNs), ctimeNs: BigInt(ctimeNs), inode: BigInt(inode) };
  };
}
