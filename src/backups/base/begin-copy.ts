import type { Config } from '../../config/config.ts';
import { type BytePath, toText } from '../../formats/byte-path.ts';
import type { Lsn } from '../../formats/wal-segment.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { sizeBytes } from '../../kernel/units.ts';
import type { BackupOptions } from '../backup.ts';
import { makeTree } from '../durable-tree.ts';
import type { RepositoryOf } from '../repository.ts';
import type { Cluster } from './cluster.ts';
import { type Copied, type CopyJob, nothingCopied } from './copy-tree.ts';
import { nothingToShare, type Sharing, shareWith } from './earlier.ts';
import { openChooser } from './pages/choose.ts';
import { type BackupRecord, stampsOf, type WholeRecord } from './record.ts';
import { isUnchanged } from './sharing.ts';
import { type SourceTree, walkDataDirectory } from './walk.ts';

/** The facts that every step of one backup works on. */
export interface BackupRun {
  readonly config: Config;
  readonly system: System;
  readonly dataDir: string;
  readonly owner: Identity | undefined;
  readonly repository: RepositoryOf<BackupRecord, WholeRecord>;
  readonly label: string;
  readonly staging: BytePath;
  readonly cluster: Cluster;
  readonly earlier: WholeRecord | undefined;
  readonly options: BackupOptions;
}

/** The state that copying has come to: hot and cold differ only in how they get here. */
export interface Taken {
  readonly mode: 'hot' | 'cold';
  readonly fromStandby: boolean;
  readonly copied: Copied;
  /** Not durable yet: the files were not synced one by one. */
  readonly bulk: boolean;
  readonly directories: readonly BytePath[];
  readonly sharing: Sharing;
  readonly wal: BackupRecord['wal'];
  readonly walNewBytes: number;
  readonly timeline: number;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  readonly checkpointLsn: Lsn;
  readonly copyBeganNs: bigint;
  readonly tablespaces: SourceTree['tablespaces'];
  readonly tablespaceMap: Buffer;
  readonly createsTablespaces: boolean;
}

/** From here on one syncfs(2) is quicker than as many fsyncs. */
const BULK_FILES = 64;

/** Walks the source, checks the space, and makes the directories to copy into. Call after a hot backup has started. */
export async function beginCopy(
  run: BackupRun,
  startLsn: Lsn | undefined,
  signal: AbortSignal,
): Promise<{ job: CopyJob; tree: SourceTree; copied: Copied; copyBeganNs: bigint }> {
  const { config, system, dataDir, owner, repository, staging, cluster, earlier, options } = run;
  const copyBeganNs = BigInt(system.clock.now().getTime()) * 1_000_000n;
  const tree = await walkDataDirectory(dataDir, cluster.versionDirectory, signal);
  for (const path of tree.skipped) {
    system.log.warn('backup.left-out', `${toText(path)} is not in the backup: it is not PostgreSQL's, and cannot be copied`, {
      path: toText(path),
    });
  }
  const stampOf = earlier ? stampsOf(earlier) : () => undefined;
  const sharing = earlier
    ? await shareWith({ record: earlier, directory: repository.pathOf(earlier.label), stampOf }, owner, system.log)
    : nothingToShare;
  const began = BigInt(earlier?.copyBeganNs ?? 0);
  const changed = tree.files.filter((file) => !isUnchanged(file, stampOf(file.path), began));
  const toCopyBytes = changed.reduce((sum, file) => sum + file.sizeBytes, 0);
  await repository.requireSpace(toCopyBytes + 4 * cluster.segmentSizeBytes);
  await makeTree(staging, tree.directories, { mode: 0o700, owner });
  const { checksums, blockSizeBytes, blocksPerSegment } = cluster;
  const rateLimit = options.rateLimit ?? config.backup.rateLimit;
  const job: CopyJob = {
    staging,
    owner,
    sharing,
    choose: await openChooser(run, signal),
    checksums: checksums ? { blockSizeBytes, blocksPerSegment, startLsn } : undefined,
    log: system.log,
    bytesPerSecond: rateLimit === undefined ? undefined : sizeBytes(rateLimit),
    bulk: changed.length > BULK_FILES,
  };
  return { job, tree, copied: nothingCopied(), copyBeganNs };
}
