import * as v from 'valibot';
import { parseJson } from '../backups/names.ts';
import { DbkitError } from '../kernel/errors.ts';
import { makeLabel } from '../kernel/labels.ts';

/** One backup as `pgbackrest info` knows it. */
export interface RestBackup {
  /** dbkit's: the moment in pgBackRest's own, which is unique in a stanza. */
  readonly label: string;
  /** pgBackRest's own: 20261120-195400F, 20261120-195400F_20261121-020000I. */
  readonly set: string;
  readonly type: 'full' | 'diff' | 'incr';
  /** Sets that a restore of it needs. */
  readonly needs: readonly string[];
  readonly beganAt: Date;
  readonly endedAt: Date;
  readonly startLsn: string;
  readonly stopLsn: string;
  readonly timeline: number;
  readonly systemIdentifier: string;
  readonly pgVersion: number;
  readonly sizeBytes: number;
  /** Bytes that it added to the repository, compressed. */
  readonly storedBytes: number;
  /** Pages whose checksum did not match when they were copied. */
  readonly hasDamagedPages: boolean;
  readonly annotations: Readonly<Record<string, string>>;
}

/** WAL of one cluster in the repository, first and last segment by name; null where there is none. */
export interface RestArchive {
  readonly systemIdentifier: string;
  readonly pgVersion: number;
  readonly id: string;
  readonly first: string | null;
  readonly last: string | null;
}

export interface RestInfo {
  /** Oldest first. */
  readonly backups: readonly RestBackup[];
  readonly archives: readonly RestArchive[];
  /** Those that the stanza was ever of, the last one now. */
  readonly clusters: readonly { readonly systemIdentifier: string; readonly pgVersion: number }[];
}

const stamp = '\\d{8}-\\d{6}';
/** Untrusted: it becomes part of a path and of a command line. */
export const SET = new RegExp(`^(${stamp}F)(?:_${stamp}[DI])?$`);
const set = v.pipe(v.string(), v.regex(SET));
const lsn = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{1,8}\/[0-9a-f]{1,8}$/i),
  v.transform((text) => text.toUpperCase()),
);
const segment = v.pipe(v.string(), v.regex(/^[0-9A-F]{24}$/));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const seconds = v.pipe(count, v.maxValue(253_402_300_799)); // 9999-12-31.
const identifier = v.pipe(v.string(), v.regex(/^\d{1,20}$/));
const major = v.pipe(
  v.string(),
  v.regex(/^\d{1,2}(\.\d)?$/),
  v.transform((text) => Number.parseInt(text, 10)),
);

const backupSchema = v.object({
  annotation: v.optional(v.record(v.string(), v.string()), {}),
  archive: v.object({ start: v.nullable(segment), stop: v.nullable(segment) }),
  database: v.object({ id: count, 'repo-key': count }),
  error: v.optional(v.nullable(v.boolean()), false),
  info: v.object({ delta: count, size: count, repository: v.object({ delta: count, size: v.optional(v.nullable(count)) }) }),
  label: set,
  lsn: v.optional(v.object({ start: v.nullable(lsn), stop: v.nullable(lsn) })),
  prior: v.nullable(set),
  reference: v.optional(v.nullable(v.array(set)), []),
  timestamp: v.object({ start: seconds, stop: seconds }),
  type: v.picklist(['full', 'diff', 'incr']),
});
const stanzaSchema = v.object({
  name: v.string(),
  archive: v.array(
    v.object({
      database: v.object({ id: count, 'repo-key': count }),
      id: v.pipe(v.string(), v.regex(/^\d{1,2}(\.\d)?-\d{1,6}$/)),
      max: v.nullable(segment),
      min: v.nullable(segment),
    }),
  ),
  backup: v.array(backupSchema),
  db: v.array(v.object({ id: count, 'repo-key': count, 'system-id': identifier, version: major })),
  status: v.object({ code: count, message: v.string() }),
});

/** Of a stanza: what it has; 1: it is not there; 2: no backup; 3: no WAL or only in one repository (info.c); else it could not be read. */
const READ = new Set([0, 1, 2, 3, 4]);

/** The text of `info --output=json` for one stanza. Rejects with `store.unavailable` where pgBackRest could not read it, `data.corrupt` for other text. */
export function parseInfo(text: string, stanza: string): RestInfo {
  const exact = text.replace(/"system-id":\s*(\d{1,20})/g, '"system-id":"$1"'); // Its 64 bits do not fit a number of JavaScript's.
  const parsed = v.safeParse(v.array(stanzaSchema), parseJson(Buffer.from(exact), 'the answer of pgbackrest info'));
  if (!parsed.success)
    throw new DbkitError('data.corrupt', `the answer of pgbackrest info is not understood: ${parsed.issues[0].message}`, {
      hint: 'this dbkit knows pgBackRest 2.45 to 2.55',
    });
  const found = parsed.output.find(({ name }) => name === stanza);
  if (found === undefined) return { backups: [], archives: [], clusters: [] };
  if (!READ.has(found.status.code))
    throw new DbkitError('store.unavailable', `the repository of pgBackRest cannot be read: ${found.status.message}`, {
      hint: 'check that it is mounted, or answers, and look at pgbackrest.cipherPass',
    });
  const dbOf = ({ id, 'repo-key': key }: { id: number; 'repo-key': number }) =>
    found.db.find((db) => db.id === id && db['repo-key'] === key);
  const backups = found.backup.flatMap((one): RestBackup[] => {
    const db = dbOf(one.database);
    return db === undefined ? [] : [toBackup(one, db)];
  });
  const archives = found.archive.flatMap(({ database, id, min, max }): RestArchive[] => {
    const db = dbOf(database);
    return db === undefined ? [] : [{ systemIdentifier: db['system-id'], pgVersion: db.version, id, first: min, last: max }];
  });
  const clusters = [...found.db]
    .sort((a, b) => a.id - b.id)
    .map(({ 'system-id': systemIdentifier, version }) => ({ systemIdentifier, pgVersion: version }));
  return { clusters, backups: backups.sort((a, b) => (a.label < b.label ? -1 : 1)), archives };
}

type Db = v.InferOutput<typeof stanzaSchema>['db'][number];

function toBackup(one: v.InferOutput<typeof backupSchema>, db: Db): RestBackup {
  return {
    label: labelOf(one.label),
    set: one.label,
    type: one.type,
    needs: [...new Set([...(one.reference ?? []), ...(one.prior === null ? [] : [one.prior])])],
    beganAt: new Date(one.timestamp.start * 1000),
    endedAt: new Date(one.timestamp.stop * 1000),
    startLsn: one.lsn?.start ?? '0/0',
    stopLsn: one.lsn?.stop ?? '0/0',
    timeline: Number.parseInt((one.archive.stop ?? one.archive.start ?? '00000001').slice(0, 8), 16),
    systemIdentifier: db['system-id'],
    pgVersion: db.version,
    sizeBytes: one.info.size,
    storedBytes: one.info.repository.delta,
    hasDamagedPages: one.error ?? false,
    annotations: one.annotation,
  };
}

/** 20261120-195400F_20261121-020000I → data_20261121_020000. */
export function labelOf(name: string): string {
  const last = name.slice(-16, -1);
  const [date, time] = last.split('-');
  const at = new Date(`${date!.replace(/(....)(..)(..)/, '$1-$2-$3')}T${time!.replace(/(..)(..)(..)/, '$1:$2:$3')}Z`);
  if (!Number.isNaN(at.getTime())) return makeLabel('data', at);
  throw new DbkitError('data.corrupt', `the backup ${name} of pgBackRest bears a date that does not exist`);
}
