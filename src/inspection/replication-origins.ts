import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '../formats/crc32c.ts';
import { parseFilenodeMap } from '../formats/filenode-map.ts';
import { inspectSlots } from './directories.ts';
import type { Finding } from './findings.ts';
import type { Walk } from './walk.ts';

const PATH = 'pg_logical/replorigin_checkpoint';
/** REPLICATION_STATE_MAGIC, and ReplicationStateOnDisk with its padding (src/backend/replication/logical/origin.c). */
const MAGIC = 0x1257dade;
const STATE_BYTES = 16;
const CRC_BYTES = 4;
/** pg_replication_origin, a shared catalog whose file the map names. */
const ORIGINS = 6000;

/** The slots, and the progress of the origins. */
export const inspectReplication = (dataDir: string, seen: Walk): Finding[] => [
  ...inspectSlots(dataDir, seen),
  ...inspectOrigins(dataDir, seen),
];

/**
 * How far each subscription has come, as of the last checkpoint. A server panics at every start over one that it cannot read; without the file it
 * begins with none. Where no origin was ever made, nothing is lost with it.
 */
function inspectOrigins(dataDir: string, { entries }: Walk): Finding[] {
  const entry = entries.get(PATH);
  if (entry?.kind !== 'file') return [];
  const problem = problemOf(readFileSync(join(dataDir, PATH)));
  if (problem === undefined) return [];
  return [
    {
      code: hasOrigins(dataDir, entries) ? 'replication-origin.damaged' : 'cache.damaged',
      path: PATH,
      evidence: problem,
      severity: 'certain',
      postgresSays: problem,
    },
  ];
}

function problemOf(bytes: Buffer): string | undefined {
  const magic = bytes.length < CRC_BYTES ? undefined : bytes.readUInt32LE(0);
  if (magic === undefined) return `could not read file "${PATH}": read ${bytes.length} of ${CRC_BYTES}`;
  if (magic !== MAGIC) return `replication checkpoint has wrong magic ${magic} instead of ${MAGIC}`;
  const rest = bytes.length % STATE_BYTES;
  if (rest !== 2 * CRC_BYTES) return `could not read file "${PATH}": its ${bytes.length} bytes are no whole states`;
  const found = bytes.readUInt32LE(bytes.length - CRC_BYTES);
  const computed = crc32c(bytes.subarray(0, -CRC_BYTES));
  return found === computed ? undefined : `replication slot checkpoint has wrong checksum ${computed}, expected ${found}`;
}

/** False only where the catalog's file proves that there never was one. */
function hasOrigins(dataDir: string, entries: Walk['entries']): boolean {
  const map = entries.get('global/pg_filenode.map');
  const parsed = map?.kind === 'file' ? parseFilenodeMap(readFileSync(join(dataDir, map.path))) : undefined;
  const file = parsed && !('problem' in parsed) ? parsed.files.get(ORIGINS) : undefined;
  return file === undefined || entries.get(`global/${file}`)?.sizeBytes !== 0;
}
