import { createHash } from 'node:crypto';
import { join as joinPath } from 'node:path';
import * as v from 'valibot';
import { type BytePath, bytePath, toBytes } from '../../formats/byte-path.ts';
import { formatLsn, type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { isPathInside, JSON_BYTES_MAX, parseJson } from '../names.ts';
import { readRegular } from '../regular-file.ts';

/** One file of a base backup, as PostgreSQL's `backup_manifest` lists it. */
export interface ManifestFile {
  readonly path: BytePath;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  readonly sha256: string;
}

export interface Manifest {
  /** Written from PostgreSQL 17 on; undefined before. */
  readonly systemIdentifier: string | undefined;
  readonly files: readonly ManifestFile[];
  readonly wal: { readonly timeline: number; readonly start: Lsn; readonly end: Lsn };
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

/** PostgreSQL's own format, which pg_verifybackup reads (backup_manifest.c; docs: "Backup Manifest Format"). Version 2 from 17 on. */
export function renderManifest({ systemIdentifier, files, wal }: Manifest): string {
  const head = systemIdentifier === undefined ? '1' : `2,\n"System-Identifier": ${systemIdentifier}`;
  const range = `{ "Timeline": ${wal.timeline}, "Start-LSN": "${formatLsn(wal.start)}", "End-LSN": "${formatLsn(wal.end)}" }`;
  const body = [
    `{ "PostgreSQL-Backup-Manifest-Version": ${head},\n"Files": [\n`,
    files.map(renderFile).join(',\n'),
    `\n],\n"WAL-Ranges": [\n${range}\n],\n`,
  ].join('');
  return `${body}"Manifest-Checksum": "${sha256(body)}"}\n`;
}

function renderFile({ path, sizeBytes, modifiedAt, sha256: checksum }: ManifestFile): string {
  const bytes = toBytes(path);
  const text = bytes.toString('utf8');
  // The manifest is UTF-8 throughout, so a name that is not is written as its bytes in hexadecimal.
  const name = Buffer.from(text, 'utf8').equals(bytes) ? `"Path": ${JSON.stringify(text)}` : `"Encoded-Path": "${bytes.toString('hex')}"`;
  const time = `${modifiedAt.toISOString().slice(0, 19).replace('T', ' ')} GMT`;
  return `{ ${name}, "Size": ${sizeBytes}, "Last-Modified": "${time}", "Checksum-Algorithm": "SHA256", "Checksum": "${checksum}" }`;
}

const timeOf = (text: string): Date => new Date(text.replace(' GMT', 'Z').replace(' ', 'T'));
function isTime(text: string): boolean {
  return !Number.isNaN(timeOf(text).getTime());
}

const lsnText = v.pipe(v.string(), v.regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i));
const manifestSchema = v.looseObject({
  Files: v.array(
    v.looseObject({
      Path: v.optional(v.string()),
      'Encoded-Path': v.optional(v.pipe(v.string(), v.hexadecimal())),
      Size: v.pipe(v.number(), v.integer(), v.minValue(0)),
      'Last-Modified': v.pipe(v.string(), v.regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT$/), v.check(isTime, 'is no time')),
      'Checksum-Algorithm': v.literal('SHA256'),
      Checksum: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    }),
  ),
  'WAL-Ranges': v.tuple([v.looseObject({ Timeline: v.number(), 'Start-LSN': lsnText, 'End-LSN': lsnText })]),
});

/** Reads a manifest that `renderManifest` wrote. Rejects with `data.corrupt` when its own checksum or its form is wrong. */
export function parseManifest(text: string): Manifest {
  const end = text.lastIndexOf('"Manifest-Checksum": "');
  if (end < 0 || text.slice(end) !== `"Manifest-Checksum": "${sha256(text.slice(0, end))}"}\n`) {
    throw new DbkitError('data.corrupt', 'the backup_manifest does not match its own checksum');
  }
  const parsed = v.safeParse(manifestSchema, parseJson(Buffer.from(text, 'utf8'), 'the backup_manifest'));
  if (!parsed.success) throw new DbkitError('data.corrupt', `the backup_manifest has an unknown form: ${v.summarize(parsed.issues)}`);
  const [range] = parsed.output['WAL-Ranges'];
  const manifest: Manifest = {
    systemIdentifier: /^"System-Identifier": (\d+),$/m.exec(text.slice(0, 200))?.[1], // JSON numbers lose digits past 2^53.
    files: parsed.output.Files.map((file) => ({
      path: bytePath(file['Encoded-Path'] === undefined ? Buffer.from(file.Path ?? '', 'utf8') : Buffer.from(file['Encoded-Path'], 'hex')),
      sizeBytes: file.Size,
      modifiedAt: timeOf(file['Last-Modified']),
      sha256: file.Checksum,
    })),
    wal: { timeline: range.Timeline, start: parseLsn(range['Start-LSN']), end: parseLsn(range['End-LSN']) },
  };
  const outside = manifest.files.find(({ path }) => !isPathInside(path));
  if (outside)
    throw new DbkitError('data.corrupt', `the backup_manifest names ${JSON.stringify(outside.path)}, which leads out of the backup`);
  return manifest;
}

/** The manifest of a backup as it lies there. Rejects with `data.corrupt`, or as open(2) does. */
export const readManifestFile = async (directory: string): Promise<Manifest> => parseManifest(await readManifestText(directory));
export const readManifestText = async (directory: string): Promise<string> =>
  (await readRegular(joinPath(directory, 'backup_manifest'), JSON_BYTES_MAX)).toString('utf8');
