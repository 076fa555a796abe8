import { join } from 'node:path';
import { namedRow, rowsOf } from '../formats/catalog-rows.ts';
import type { ControlFile } from '../formats/control-file.ts';
import { parseFilenodeMap } from '../formats/filenode-map.ts';
import { pageBuffer } from '../formats/page-buffer.ts';
import { findBrokenHeaders, isZero } from '../formats/pages.ts';
import { readPlainSync } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import type { Compared } from './since-shutdown.ts';
import { mayHaveCommitted } from './status-bits.ts';

const DATABASE_OID = 1262; // pg_database.h
const TEMPLATE1 = 1;
const DIRECTORY = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/(\d+)(?:\/|$)/;
/** HeapTupleHeaderData.t_infomask (htup_details.h); both together: frozen. */
const [XMIN_COMMITTED, XMIN_INVALID] = [0x0100, 0x0200];
const FIRST_NORMAL_XID = 3;

/**
 * Leaves out what is said of folders that no database bears the number of. A CREATE DATABASE that was killed leaves one with half of its files, and
 * the server never looks into it (dbcommands.c). Only where pg_database is known to be what the last server left: else every folder counts.
 */
export function ofDatabases(
  dataDir: string,
  control: ControlFile,
  compared: Pick<Compared, 'proven' | 'differences'> | undefined,
  findings: readonly Finding[],
): Finding[] {
  const isWithin = findings.some(({ path }) => DIRECTORY.test(path));
  const isDoubtful = (path: string): boolean => /^(global|pg_xact)(\/|$)/.test(path);
  if (!isWithin || !compared?.proven || [...findings, ...compared.differences].some(({ path }) => isDoubtful(path))) return [...findings];
  const claimed = claimedNumbers(dataDir, control);
  if (!claimed?.has(TEMPLATE1)) return [...findings];
  return findings.filter(({ path }) => {
    const number = DIRECTORY.exec(path)?.[1];
    return number === undefined || claimed.has(Number(number));
  });
}

/** Numbers of the databases that may have been created, dropped ones too; undefined where a page of pg_database is not sound. */
function claimedNumbers(dataDir: string, { blockSizeBytes: size, checksums }: ControlFile): ReadonlySet<number> | undefined {
  const map = parseFilenodeMap(readPlainSync(join(dataDir, 'global/pg_filenode.map')));
  const file = 'problem' in map ? undefined : map.files.get(DATABASE_OID);
  if (file === undefined) return undefined;
  const bytes = readPlainSync(join(dataDir, 'global', String(file)));
  const { bytes: buffer, findUnsound } = pageBuffer();
  if (bytes.length === 0 || bytes.length % size !== 0) return undefined;
  const rule = { blockSizeBytes: size, firstBlock: 0, startLsn: undefined };
  for (let from = 0; checksums && from < bytes.length; from += buffer.length)
    if (findUnsound(bytes.copy(buffer, 0, from), from / size, rule).length > 0) return undefined;
  if (!checksums && findBrokenHeaders(bytes, 0, size).length > 0) return undefined;
  const numbers = new Set<number>();
  for (let at = 0; at < bytes.length; at += size) {
    const page = bytes.subarray(at, at + size);
    if (isZero(page)) return undefined;
    for (const { data, xmin, infomask } of rowsOf(page)) if (isThere(dataDir, xmin, infomask)) numbers.add(namedRow(data).oid);
  }
  return numbers;
}

function isThere(dataDir: string, xmin: number, infomask: number): boolean {
  if ((infomask & XMIN_COMMITTED) !== 0 || xmin < FIRST_NORMAL_XID) return true;
  return (infomask & XMIN_INVALID) === 0 && mayHaveCommitted(dataDir, xmin);
}
