import { createHash } from 'node:crypto';
import { chmod, chown, open, rm } from 'node:fs/promises';
import { type BytePath, fromText, join, toBytes } from '../../formats/byte-path.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity } from '../../kernel/machine.ts';
import { opened } from '../../store/age.ts';
import { makeTree, syncFiles, syncTree } from '../durable-tree.ts';
import { parseJson } from '../names.ts';
import { hashFile } from '../regular-file.ts';
import type { KeptRecord, RecordKind } from '../repository.ts';
import type { CopiedFile, CopyManifest, Pack, Run } from './manifest.ts';
import { unpack } from './packer.ts';
import type { Place } from './place.ts';

interface Piece extends Run {
  readonly path: BytePath;
  readonly position: number;
}

/**
 * Writes a copied backup into `directory`, which must not exist or be empty, and its record beside it: every file as it was, hashed again after it
 * was written. Resolves when all of it is durable. Rejects with `data.corrupt` where the copy does not hold what it says.
 */
export async function bringBack(
  place: Place,
  manifest: CopyManifest,
  to: { readonly directory: string; readonly record: string; readonly owner: Identity | undefined },
  signal: AbortSignal,
): Promise<void> {
  const root = fromText(to.directory);
  const recordName = `${manifest.label}.json`;
  const pathOf = (path: BytePath): BytePath =>
    path === recordName ? fromText(to.record) : join(root, path.slice(manifest.label.length + 1) as BytePath);
  const below = (path: BytePath): BytePath => path.slice(manifest.label.length + 1) as BytePath;
  const inside = manifest.directories.map(below).filter((path) => path !== '');
  await makeTree(root, inside, { mode: 0o700, owner: to.owner });
  await rm(to.record, { force: true });
  for (const file of manifest.files) await makeFile(pathOf(file.path), file, to.owner);
  const pieces = piecesByPack(manifest);
  for (const [number, pack] of manifest.packs.entries()) {
    const wanted = pieces.get(number);
    if (wanted === undefined) continue;
    const plain = await plainOf(place, pack, signal);
    for (const piece of wanted) await writePiece(pathOf(piece.path), piece, plain);
  }
  for (const file of manifest.files) await requireSame(pathOf(file.path), file, signal);
  await syncFiles(
    '' as BytePath,
    manifest.files.map(({ path }) => pathOf(path)),
  );
  await syncTree(root, inside);
}

/** The record of a backup has a row for each file: some megabytes. */
const IN_MEMORY_BYTES_MAX = 64 * 1024 * 1024;
const IN_MEMORY_RUNS_MAX = 1024;

/** One small file of a copied backup, in memory. Rejects with `data.corrupt` where the copy does not hold what it says. */
export async function readCopied(place: Place, { files, packs }: CopyManifest, path: string, signal: AbortSignal): Promise<Buffer> {
  const file = files.find((one) => one.path === path);
  const isSmall = file !== undefined && file.sizeBytes <= IN_MEMORY_BYTES_MAX && file.runs.length <= IN_MEMORY_RUNS_MAX;
  const bytes = Buffer.alloc(isSmall ? file.sizeBytes : 0);
  let [at, number] = [0, -1];
  let plain: Buffer = Buffer.alloc(0);
  for (const { pack, offset, length } of isSmall ? file.runs : []) {
    if (pack !== number) plain = await plainOf(place, packs[pack]!, signal);
    number = pack;
    at += plain.copy(bytes, at, offset, offset + length);
  }
  if (isSmall && createHash('sha256').update(bytes).digest('hex') === file.sha256) return bytes;
  throw new DbkitError('data.corrupt', `${place.store.place} does not hold ${path} as it was`, {
    hint: 'restore another backup: `dbkit backup list --copy NAME`',
  });
}

/** The record of a copied backup. Rejects with `data.corrupt` for one that is not understood, of a newer dbkit too, or is of another backup. */
export function copiedRecord<R extends KeptRecord, W extends R>(kind: RecordKind<R, W>, bytes: Buffer, label: string): W {
  const record = ((): W => {
    try {
      return kind.parse(parseJson(bytes, `the copied record of ${label}`));
    } catch (cause) {
      if (cause instanceof DbkitError) throw cause;
      throw new DbkitError('data.corrupt', `the copied record of ${label} is not understood`, { cause });
    }
  })();
  if (record.label === label) return record;
  throw new DbkitError('data.corrupt', `the copy of ${label} holds the record of ${record.label}`);
}

async function plainOf(place: Place, pack: Pack, signal: AbortSignal): Promise<Buffer> {
  const sealed = await place.pack(pack.key, signal);
  return unpack(pack, await opened(place.seal, pack.key, sealed)).catch((cause: unknown) => {
    if (cause instanceof DbkitError) throw cause;
    throw new DbkitError('data.corrupt', `${pack.key} in ${place.store.place} cannot be unpacked`, { cause });
  });
}

function piecesByPack({ files }: CopyManifest): Map<number, Piece[]> {
  const pieces = new Map<number, Piece[]>();
  for (const { path, runs } of files) {
    let position = 0;
    for (const run of runs) {
      const ofPack = pieces.get(run.pack);
      const piece = { ...run, path, position };
      if (ofPack === undefined) pieces.set(run.pack, [piece]);
      else ofPack.push(piece);
      position += run.length;
    }
  }
  return pieces;
}

async function makeFile(path: BytePath, { mode }: CopiedFile, owner: Identity | undefined): Promise<void> {
  const handle = await open(toBytes(path), 'wx', 0o600);
  await handle.close();
  await chmod(toBytes(path), mode | 0o600);
  if (owner) await chown(toBytes(path), owner.uid, owner.gid);
}

async function writePiece(path: BytePath, { position, offset, length }: Piece, plain: Buffer): Promise<void> {
  if (offset + length > plain.length) throw new DbkitError('data.corrupt', `${path} lies beyond the end of a pack`);
  const handle = await open(toBytes(path), 'r+');
  try {
    for (let done = 0; done < length; ) {
      const { bytesWritten } = await handle.write(plain, offset + done, length - done, position + done);
      done += bytesWritten;
    }
  } finally {
    await handle.close();
  }
}

async function requireSame(path: BytePath, file: CopiedFile, signal: AbortSignal): Promise<void> {
  const { sizeBytes, sha256 } =
    file.sizeBytes === 0 ? { sizeBytes: 0, sha256: createHash('sha256').digest('hex') } : await hashFile(toBytes(path), signal);
  if (sizeBytes === file.sizeBytes && sha256 === file.sha256) return;
  throw new DbkitError('data.corrupt', `${file.path} came back from the copy with other bytes than it had`, {
    hint: 'restore another backup: `dbkit backup list`',
  });
}
