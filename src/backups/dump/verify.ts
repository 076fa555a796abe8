import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromText, toText } from '../../formats/byte-path.ts';
import { DbkitError, unlessMissing } from '../../kernel/errors.ts';
import { listTree } from '../list-tree.ts';
import { hashFile } from '../regular-file.ts';
import { type DumpedDatabase, type DumpManifest, MANIFEST, readManifest } from './manifest.ts';
import type { DumpRecord } from './record.ts';
import { parseToc, type TocEntry } from './toc.ts';
import type { DumpTools } from './tools.ts';

/** Reads every file again. Resolves to the manifest; rejects with `data.corrupt`, naming what is missing, changed or too much. */
export async function verifyFiles(directory: string, record: DumpRecord, signal: AbortSignal): Promise<DumpManifest> {
  const manifest = await readManifest(directory, record);
  const wrong: string[] = [];
  for (const { path, sizeBytes, sha256 } of manifest.files) {
    const file = join(directory, path);
    const size = (await lstat(file).catch(unlessMissing))?.size;
    if (size === undefined) wrong.push(`${path} is missing`);
    else if (size !== sizeBytes) wrong.push(`${path} has ${size} bytes instead of ${sizeBytes}`);
    else if ((await hashFile(Buffer.from(file), signal)).sha256 !== sha256) wrong.push(`${path} has changed`);
  }
  const listed = new Set([MANIFEST, ...manifest.files.map(({ path }) => path)]);
  const { files } = await listTree(fromText(directory), signal);
  wrong.push(...files.map(toText).flatMap((path) => (listed.has(path) ? [] : [`${path} was not there when the dump was made`])));
  if (wrong.length > 0) throw new DbkitError('data.corrupt', `${record.label} is not what was written: ${wrong.slice(0, 5).join(', ')}`);
  return manifest;
}

/** The archive's own table of contents names every table of the manifest. Rejects with `data.corrupt`. */
export async function verifyContents(directory: string, manifest: DumpManifest, tools: DumpTools, signal: AbortSignal): Promise<void> {
  for (const database of manifest.databases) {
    const { stdout } = await tools.run('pg_restore', ['--list', join(directory, database.directory)], signal);
    const missing = tablesMissing(database, stdout);
    if (missing.length > 0) throw new DbkitError('data.corrupt', `the archive of ${database.name} lacks ${missing.slice(0, 5).join(', ')}`);
  }
}

const blank = (text: string): string => text.replace(/[\r\n]/g, ' ');

/**
 * Pure. By oid where the manifest has it; else by name, in which the list shows line breaks as blanks (pg_backup_archiver.c, sanitize_line).
 */
export function tablesMissing({ tables }: Pick<DumpedDatabase, 'tables'>, contents: string): string[] {
  const entries = parseToc(contents).filter(({ type }) => type === 'TABLE' || type === 'MATERIALIZED VIEW');
  const oids = new Set(entries.map(({ oid }) => oid));
  const isListed = ({ schema, name, oid }: DumpedDatabase['tables'][number]): boolean =>
    oid === undefined ? entries.some(({ label }: TocEntry) => label.startsWith(blank(`${schema} ${name} `))) : oids.has(oid);
  return tables.filter((table) => !isListed(table)).map(({ schema, name }) => `${schema}.${name}`);
}
