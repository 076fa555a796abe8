import * as v from 'valibot';
import type { Backup, BackupDetails } from '../backup.ts';
import type { RecordKind } from '../repository.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** dbkit's record of a dump: `BACKUP_DIR/<label>.json`, written last. Fields are only ever added. */
const recordSchema = v.looseObject({
  schema: v.literal('dbkit.dump/v1'),
  label: v.pipe(v.string(), v.regex(/^dump_\d{8}_\d{6}$/)),
  engine: v.literal('dump'),
  kind: v.literal('logical'),
  state: v.picklist(['good', 'verified', 'proven', 'damaged']),
  createdAt: v.pipe(v.string(), v.isoTimestamp()),
  verifiedAt: v.nullable(v.string()),
  /** When it was last restored into a scratch database and its rows counted. */
  provenAt: v.nullable(v.string()),
  /** The defect that the last verification found; null when all was right. */
  problem: v.nullable(v.string()),
  pinned: v.boolean(),
  note: v.nullable(v.string()),
  pgVersion: count,
  systemIdentifier: v.pipe(v.string(), v.regex(/^\d+$/)),
  databases: v.array(v.string()),
  tables: count,
  rows: count,
  sizeBytes: count,
  files: count,
  durationMs: v.pipe(v.number(), v.minValue(0)),
  /** Databases, rows or damaged tables were left out because somebody wished it so. */
  isPartial: v.optional(v.boolean(), false),
  /** Databases that nobody named, and that no dump can hold as they are, or dbkit could not read. */
  leftOut: v.optional(v.array(v.object({ database: v.string(), because: v.string() })), []),
  /** The manifest's own digest: one swapped for another's is noticed. */
  manifestSha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** By which this dbkit knows a dump of its own; null: nobody can tell who made it. */
  seal: v.optional(v.nullable(v.string()), null),
});
export type DumpRecord = v.InferOutput<typeof recordSchema>;

/** The facts for the rest of dbkit. */
const toBackup = (record: DumpRecord, path: string): Backup => ({
  label: record.label,
  path,
  kind: 'logical',
  createdAt: record.createdAt,
  state: record.state,
  pgVersion: record.pgVersion,
  systemIdentifier: record.systemIdentifier,
  sizeBytes: record.sizeBytes,
  note: record.note,
  pinned: record.pinned,
  verifiedAt: record.verifiedAt,
  provenAt: record.provenAt,
  databases: record.databases,
  dataAt: new Date(Date.parse(record.createdAt) - record.durationMs).toISOString(),
  isPartial: record.isPartial,
  leftOut: record.leftOut,
});

/** Details for `backup show` beyond the list. */
const describeRecord = ({ databases, tables, rows, files, problem, durationMs }: DumpRecord): BackupDetails => ({
  databases,
  tables,
  rows,
  files,
  problem,
  durationMs,
});

/** Dumps share the repository with base backups. */
export const dumpRecords: RecordKind<DumpRecord> = {
  kind: 'dump',
  parse: (value) => v.parse(recordSchema, value),
  toBackup,
  describe: describeRecord,
};
