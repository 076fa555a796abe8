import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { DbkitError } from '../../kernel/errors.ts';
import { openRegular } from '../regular-file.ts';
import { parseToc } from './toc.ts';
import type { DumpTools } from './tools.ts';

/** pg_dump ends the rows of a table so (pg_dump.c, dumpTableData_copy). */
const END = Buffer.from('\\.\n\n\n');
const NEWLINE = 10;

/**
 * Reads the file that pg_dump wrote for one table: its size and digest as it is on disk, and the rows in it. COPY writes one line a row, in which
 * line breaks are escaped, so they need not be asked of the server: no lock, and nothing of the user's runs. Rejects with `data.corrupt`.
 */
export async function readDataFile(path: string, signal: AbortSignal): Promise<{ sizeBytes: number; sha256: string; rows: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let lines = 0;
  let tail: Buffer = Buffer.alloc(0);
  const file = await openRegular(path);
  const measured = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      yield chunk;
    }
  };
  const counted = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) {
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1;
      tail = Buffer.concat([tail, chunk.subarray(-END.length)]).subarray(-END.length);
    }
  };
  const source = file.createReadStream();
  if (path.endsWith('.gz')) await pipeline(source, measured, createGunzip(), counted, { signal });
  else await pipeline(source, measured, counted, { signal });
  if (!tail.equals(END)) throw new DbkitError('data.corrupt', `${path} does not end as pg_dump ends the rows of a table`);
  return { sizeBytes, sha256: hash.digest('hex'), rows: lines - 3 };
}

/** A table of an archive: its rows, and the file they are in. */
export interface ArchivedTable {
  readonly rows: number;
  /** Undefined: it came without its rows. */
  readonly file?: { readonly name: string; readonly sizeBytes: number; readonly sha256: string } | undefined;
}

/** Every table that an archive in the directory format defines, by its oid where it was dumped. */
export async function readTables(archive: string, tools: DumpTools, signal: AbortSignal): Promise<ReadonlyMap<number, ArchivedTable>> {
  const { stdout } = await tools.run('pg_restore', ['--list', archive], signal);
  const entries = parseToc(stdout);
  const dataOf = new Map(entries.flatMap(({ type, oid, id }) => (type === 'TABLE DATA' ? [[oid, id] as const] : [])));
  const tables = new Map<number, ArchivedTable>();
  for (const { oid } of entries.filter(({ type }) => type === 'TABLE')) {
    const name = `${dataOf.get(oid)}.dat.gz`;
    const read = dataOf.has(oid) ? await readDataFile(join(archive, name), signal) : undefined;
    tables.set(oid, read ? { rows: read.rows, file: { name, sizeBytes: read.sizeBytes, sha256: read.sha256 } } : { rows: 0 });
  }
  return tables;
}
