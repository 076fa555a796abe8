import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { type BytePath, fromText, toBytes, toText } from '../../formats/byte-path.ts';
import { readRecords } from '../../formats/wal-reader.ts';
import { formatLsn, type Lsn, parseLsn } from '../../formats/wal-segment.ts';
import { loadZstdSync } from '../../formats/zstd.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/machine.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { inThreads } from '../../machine/threads.ts';
import { listTree } from '../list-tree.ts';
import { readBackupCluster } from './cluster.ts';
import { checksummedSegment } from './exclusions.ts';
import { type Manifest, parseManifest, readManifestText } from './manifest.ts';
import { isOfPages, whereaboutsIn } from './pages/packed.ts';
import type { BackupRecord } from './record.ts';
import { type Reread, type RereadTask, reread } from './reread.ts';
import { identityOf } from './roll-forward.ts';

/** One file of a backup with what it must be: the manifest's files, the WAL of the record, and the manifest itself is checked apart. */
export interface ExpectedFile {
  readonly path: BytePath;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface VerifyNeeds {
  readonly deep: boolean;
  /** Files that were read before in this run, by the file's identity: backups share files, and the same bytes are read once. */
  readonly seen: Map<string, Reread['found']>;
  readonly log: Logger;
}

/** Reads the manifest and holds it against the record. Rejects with `data.corrupt` when either was tampered with. */
export async function readManifest(record: BackupRecord, directory: string): Promise<Manifest> {
  const text = await readManifestText(directory).catch((cause: unknown) => {
    unlessOwnTrouble(cause); // It says nothing of the backup.
    throw damaged(record, 'its backup_manifest cannot be read', cause);
  });
  if (createHash('sha256').update(text, 'utf8').digest('hex') !== record.manifestSha256) {
    throw damaged(record, 'its backup_manifest is not the one that was written with it');
  }
  return parseManifest(text);
}

export const expectedFiles = (record: BackupRecord, manifest: Manifest): ExpectedFile[] => [
  ...manifest.files,
  ...record.wal.map(({ name, sizeBytes, sha256 }) => ({ path: fromText(`pg_wal/${name}`), sizeBytes, sha256 })),
];

/**
 * Reads every byte of a backup again; `deep` also judges page checksums and follows the WAL from the first record to the last. Rejects with
 * `data.corrupt`, naming what is missing, extra, or other than it was written; up to ten of them, because one bad disk can spoil them all.
 */
export async function verifyBackup(record: BackupRecord, directory: string, needs: VerifyNeeds, signal: AbortSignal): Promise<void> {
  const expected = expectedFiles(record, await readManifest(record, directory));
  const known = new Set<string>([...expected.map(({ path }) => path), 'backup_manifest']);
  const found = await listTree(fromText(directory), signal);
  const wrong = found.files.filter((path) => !known.has(path) && !isOfPages(path)).map((path) => `${toText(path)} is extra`);
  wrong.push(...(await rereadAll(record, directory, expected, needs, signal)));
  if (needs.deep && wrong.length === 0) wrong.push(...(await brokenWal(record, directory, signal)));
  if (wrong.length > 0)
    throw damaged(record, `${wrong.slice(0, 10).join(', ')}${wrong.length > 10 ? ` and ${wrong.length - 10} more` : ''}`);
}

async function rereadAll(
  record: BackupRecord,
  directory: string,
  expected: readonly ExpectedFile[],
  { deep, seen, log }: VerifyNeeds,
  signal: AbortSignal,
): Promise<string[]> {
  const root = fromText(directory);
  const cluster = deep ? await readBackupCluster(directory, signal).catch(unlessOwnTrouble) : undefined; // Its bytes are judged with the others.
  const files = new Map<string, ExpectedFile>(expected.map((file) => [file.path, file]));
  const identities = new Map<string, string>();
  const range = { start: parseLsn(record.startLsn), stop: parseLsn(record.stopLsn) };
  const wrong: string[] = [];
  let doneBytes = 0;
  const judge = ({ path, found: result }: Reread): void => {
    const file = files.get(path)!;
    const problem = compare(file, result, record.mode === 'hot' ? range : undefined);
    if (problem !== undefined) wrong.push(`${toText(path)} ${problem}`);
    doneBytes += file.sizeBytes;
    log.progress('backup.verify', `verifying ${record.label}`, { done: doneBytes, total: record.sizeBytes, unit: 'bytes' });
  };
  const tasks: RereadTask[] = [];
  const whereabouts = whereaboutsIn(record, root);
  if (record.packed.length > 0) await loadZstdSync();
  for (const { path, sizeBytes } of expected) {
    const { from, layers } = whereabouts(path);
    const stats = layers ? undefined : await lstat(toBytes(from), { bigint: true }).catch(() => undefined);
    const identity = stats && `${deep} ${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs}`;
    const before = stats && stats.size !== BigInt(sizeBytes) ? otherSize(stats) : identity === undefined ? undefined : seen.get(identity);
    if (before) {
      judge({ path, found: before });
      continue;
    }
    if (identity !== undefined) identities.set(path, identity);
    const segment = cluster?.checksums ? checksummedSegment(path) : undefined;
    const pages =
      cluster && segment !== undefined
        ? { blockSizeBytes: cluster.blockSizeBytes, firstBlock: segment * cluster.blocksPerSegment }
        : undefined;
    tasks.push({ path, from, layers, sizeBytes, pages });
  }
  const done = (result: Reread): void => {
    const identity = identities.get(result.path);
    if (identity !== undefined) seen.set(identity, result.found);
    judge(result);
  };
  await inThreads(tasks, { script: 'reread-worker.js', inPlace: reread, done }, signal);
  return wrong;
}

/** An entry whose content need not be read: it is not what was written, and may have no end. */
const otherSize = (stats: BigIntStats): Reread['found'] =>
  stats.isFile() ? { sizeBytes: Number(stats.size), sha256: '', unsound: [] } : 'irregular';

/** A page of a hot backup that is as new as the backup may be torn: WAL replay writes it again. One that is newer still is damaged. */
function compare(
  { sizeBytes, sha256 }: ExpectedFile,
  found: Reread['found'],
  range: { readonly start: Lsn; readonly stop: Lsn } | undefined,
): string | undefined {
  if (found === 'missing') return 'is missing';
  if (found === 'unreadable') return 'cannot be read';
  if (found === 'irregular') return 'is not a regular file';
  if (found.sizeBytes !== sizeBytes) return `has ${found.sizeBytes} bytes instead of ${sizeBytes}`;
  if (found.sha256 !== sha256) return 'differs from what was written';
  const bad = found.unsound.filter(({ lsn }) => range === undefined || lsn < range.start || lsn > range.stop);
  return bad.length === 0 ? undefined : `has ${bad.length} pages with a wrong checksum, the first at block ${bad[0]!.block}`;
}

/** Every record from the backup's start to its end, as a restored server will read them. */
async function brokenWal(record: BackupRecord, directory: string, signal: AbortSignal): Promise<string[]> {
  const start = parseLsn(record.mode === 'cold' ? record.checkpointLsn : record.startLsn);
  const { end } = await readRecords(fromText(`${directory}/pg_wal`), identityOf(record), start, signal);
  return end >= parseLsn(record.stopLsn) ? [] : [`its WAL ends at ${formatLsn(end)} instead of ${record.stopLsn}`];
}

const damaged = (record: BackupRecord, what: string, cause?: unknown): DbkitError =>
  new DbkitError('data.corrupt', `backup ${record.label} is damaged: ${what}`, {
    hint: 'take a new backup now (`dbkit backup create --full`); this one is marked as damaged and is not used for a restore',
    cause,
  });
