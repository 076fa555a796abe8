import { lstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytePath, fromText, toBytes } from '../../formats/byte-path.ts';
import { type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import type { Baseline } from '../../inspection/prove.ts';
import { RELATION } from '../../inspection/relations.ts';
import { hashFile } from '../copy-file.ts';
import { descendsFrom } from './descent.ts';
import { parseManifest } from './manifest.ts';
import { type BackupRecord, unpackStamps } from './record.ts';
import { isUnchanged } from './sharing.ts';

/** A base backup as something to hold pages against. A cold one begins with its own checkpoint. */
export function baselineOf(record: BackupRecord, directory: string): Baseline {
  const stamps = unpackStamps(record);
  const began = BigInt(record.copyBeganNs);
  const relations = [...stamps].map(
    ([path, { sizeBytes }]) => [toBytes(bytePath(Buffer.from(path, 'latin1'))).toString('utf8'), sizeBytes] as const,
  );
  let digests: ReadonlyMap<string, string> | undefined;
  return {
    label: record.label,
    directory,
    from: startOf(record),
    timeline: record.timeline,
    sizesBytes: new Map(relations.filter(([path]) => RELATION.test(path))),
    isUntouched(path, file) {
      const stats = lstatSync(file, { throwIfNoEntry: false, bigint: true });
      if (!stats?.isFile()) return false;
      const now = { sizeBytes: Number(stats.size), mtimeNs: stats.mtimeNs, ctimeNs: stats.ctimeNs, inode: stats.ino };
      return isUnchanged(now, stamps.get(fromText(path)), began);
    },
    leadsTo: (dataDir, signal) => descendsFrom(record, dataDir, signal),
    async isIntact(path, signal) {
      digests ??= await readDigests(directory);
      const read = await hashFile(toBytes(fromText(join(directory, path))), signal).catch(() => undefined);
      signal.throwIfAborted();
      return read !== undefined && read.sha256 === digests.get(path);
    },
  };
}

const startOf = ({ mode, startLsn, checkpointLsn }: BackupRecord): Lsn => parseLsn(mode === 'cold' ? checkpointLsn : startLsn);

async function readDigests(directory: string): Promise<ReadonlyMap<string, string>> {
  const manifest = await readFile(join(directory, 'backup_manifest'), 'utf8').then(parseManifest, () => undefined);
  return new Map((manifest?.files ?? []).map(({ path, sha256 }) => [toBytes(path).toString('utf8'), sha256]));
}
