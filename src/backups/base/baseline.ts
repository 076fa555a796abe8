import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { bytePath, fromText, toBytes } from '../../formats/byte-path.ts';
import { type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import type { Baseline } from '../../inspection/prove.ts';
import { RELATION } from '../../inspection/relations.ts';
import { isAbort } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { openArchive } from '../../wal/archive.ts';
import { openLineage } from '../../wal/lineage.ts';
import { hashFile } from '../regular-file.ts';
import { descendsFrom } from './descent.ts';
import { readManifestFile } from './manifest.ts';
import { stampsOf, type WholeRecord } from './record.ts';
import { isUnchanged } from './sharing.ts';

/** A base backup as something to hold pages against; undefined when it is gone, or not plain. A cold one begins with its own checkpoint. */
export function baselineOf(
  record: WholeRecord | undefined,
  directory: string,
  {
    config: { backupDir },
    system,
    isPlainNow,
  }: { readonly config: Pick<Config, 'backupDir'>; readonly system: System; readonly isPlainNow: () => Promise<boolean> },
): Baseline | undefined {
  if (record === undefined || record.packed.length > 0) return undefined; // Pages are held against files that lie there.
  const stampOf = stampsOf(record);
  const began = BigInt(record.copyBeganNs);
  const relations = record.sources.map(
    ([path, sizeBytes]) => [toBytes(bytePath(Buffer.from(path, 'latin1'))).toString('utf8'), sizeBytes] as const,
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
      return isUnchanged(now, stampOf(fromText(path)), began);
    },
    leadsTo: (dataDir, signal) => descendsFrom(record, dataDir, signal),
    async keptWal(dataDir, timeline, signal) {
      const { systemIdentifier, walSegmentSizeBytes: segmentSizeBytes } = record;
      const archive = openArchive(backupDir, systemIdentifier, system.files);
      const folders = [join(dataDir, 'pg_wal'), join(directory, 'pg_wal')];
      const lineage = await openLineage({ archive, folders, systemIdentifier, segmentSizeBytes }, timeline, signal).catch(
        (cause: unknown) => {
          if (isAbort(cause)) throw cause;
          return undefined; // Its history is not there: nobody can tell which WAL led here.
        },
      );
      return lineage?.bytes;
    },
    async isIntact(path, signal) {
      digests ??= await readDigests(directory);
      const read = await hashFile(toBytes(fromText(join(directory, path))), signal).catch(() => undefined);
      signal.throwIfAborted();
      return read !== undefined && read.sha256 === digests.get(path);
    },
    async whileHeld(work, signal) {
      const lock = await system.locks.hold(directory, 'shared').catch(() => undefined); // Removed meanwhile, or not ours to open.
      try {
        signal.throwIfAborted();
        return await work(lock !== undefined && (await isPlainNow().catch(() => false)));
      } finally {
        await lock?.release();
      }
    },
  };
}

const startOf = ({ mode, startLsn, checkpointLsn }: WholeRecord): Lsn => parseLsn(mode === 'cold' ? checkpointLsn : startLsn);

async function readDigests(directory: string): Promise<ReadonlyMap<string, string>> {
  const manifest = await readManifestFile(directory).catch(() => undefined);
  return new Map((manifest?.files ?? []).map(({ path, sha256 }) => [toBytes(path).toString('utf8'), sha256]));
}
