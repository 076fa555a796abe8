import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import type { Logger } from '../../core/contracts.ts';
import { DbkitError, errnoOf } from '../../core/errors.ts';
import { type BytePath, fromText, join, toBytes, toText } from '../formats/byte-path.ts';
import { hashFile } from './copy-file.ts';
import { listTree } from './list-tree.ts';
import { type Manifest, parseManifest } from './manifest.ts';
import { forEachLimited } from './pool.ts';
import type { BackupRecord } from './record.ts';

/** One file of a backup with what it must be: the manifest's files, the WAL of the record, and the manifest itself is checked apart. */
export interface ExpectedFile {
  readonly path: BytePath;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const FILES_AT_ONCE = 4;

/** Reads the manifest and holds it against the record. Rejects with `data.corrupt` when either was tampered with. */
export async function readManifest(record: BackupRecord, directory: string): Promise<Manifest> {
  const text = await readFile(joinPath(directory, 'backup_manifest'), 'utf8').catch((cause: unknown) => {
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
 * Reads every byte of a backup again. Rejects with `data.corrupt`, naming the files that are missing, extra, or other than they were written;
 * up to ten of them, because one bad disk can spoil them all.
 */
export async function verifyBackup(record: BackupRecord, directory: string, log: Logger, signal: AbortSignal): Promise<void> {
  const expected = expectedFiles(record, await readManifest(record, directory));
  const known = new Set<string>(expected.map(({ path }) => path)).add('backup_manifest');
  const root = fromText(directory);
  const found = await listTree(root, signal);
  const wrong = found.files.filter((path) => !known.has(path)).map((path) => `${toText(path)} is extra`);
  let doneBytes = 0;
  await forEachLimited(expected, FILES_AT_ONCE, async (file) => {
    const problem = await compare(root, file, signal);
    if (problem !== undefined) wrong.push(`${toText(file.path)} ${problem}`);
    doneBytes += file.sizeBytes;
    log.progress('backup.verify', `verifying ${record.label}`, { done: doneBytes, total: record.sizeBytes, unit: 'bytes' });
  });
  if (wrong.length > 0)
    throw damaged(record, `${wrong.slice(0, 10).join(', ')}${wrong.length > 10 ? ` and ${wrong.length - 10} more` : ''}`);
}

async function compare(root: BytePath, { path, sizeBytes, sha256 }: ExpectedFile, signal: AbortSignal): Promise<string | undefined> {
  try {
    const found = await hashFile(toBytes(join(root, path)), signal);
    if (found.sizeBytes !== sizeBytes) return `has ${found.sizeBytes} bytes instead of ${sizeBytes}`;
    return found.sha256 === sha256 ? undefined : 'differs from what was written';
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return 'is missing';
    if (errnoOf(thrown) === 'EIO') return 'cannot be read';
    throw thrown;
  }
}

const damaged = (record: BackupRecord, what: string, cause?: unknown): DbkitError =>
  new DbkitError('data.corrupt', `backup ${record.label} is damaged: ${what}`, {
    hint: 'take a new backup now; this one is marked as damaged and is not used for a restore',
    cause,
  });
