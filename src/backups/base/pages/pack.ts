import { existsSync, lstatSync } from 'node:fs';
import { chmod, chown, link, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { type BytePath, fromText, join, parentOf, toBytes } from '../../../formats/byte-path.ts';
import { errnoOf } from '../../../kernel/errors.ts';
import type { Identity } from '../../../kernel/machine.ts';
import { syncTree } from '../../durable-tree.ts';
import type { WholeRecord } from '../record.ts';
import { oldPages } from './choose.ts';
import { type Journal, nameOfFile, nameOfOld } from './journal.ts';
import { CONTROL, PACKED_CONTROL, PAGES, type PackedFile, pageFile, README } from './packed.ts';

const there = (path: BytePath): boolean => lstatSync(toBytes(path), { throwIfNoEntry: false }) !== undefined;

/** A link that takes the place of one that a killed run has left. */
async function linkAnew(from: BytePath, to: BytePath): Promise<void> {
  await rm(toBytes(to), { force: true });
  await link(toBytes(from), toBytes(to));
}

/** The files of a journal that a backup has. */
export const filesOf = ({ files }: Journal, label: string): Journal['files'] => files.filter(({ holders }) => holders.includes(label));

/** The record of a backup whose `files` another one takes over; `sizes`: of the files as they are. */
export function withPacked(record: WholeRecord, of: string, files: Journal['files'], sizeOf: (path: string) => number): WholeRecord {
  const packed = new Map<string, PackedFile>(record.packed.map((file) => [file.path, file]));
  for (const { path, number } of files) {
    const before = packed.get(path);
    const delta = nameOfOld(of, number);
    packed.set(
      path,
      before === undefined
        ? { path, sizeBytes: sizeOf(path), file: nameOfFile(of, number), deltas: [delta] }
        : { ...before, deltas: [...before.deltas, delta] },
    );
  }
  return withFiles(record, [...packed.values()]);
}

/** The record of a backup that the takeover by `of` did not happen to. */
export const withoutDelta = (record: WholeRecord, of: string, files: Journal['files']): WholeRecord => {
  const gone = new Set(files.map(({ number }) => nameOfOld(of, number)));
  const packed = record.packed.map((file) => ({ ...file, deltas: file.deltas.filter((delta) => !gone.has(delta)) }));
  return withFiles(
    record,
    packed.filter(({ deltas }) => deltas.length > 0),
  );
};

const withFiles = (record: WholeRecord, packed: readonly PackedFile[]): WholeRecord => ({
  ...record,
  schema: packed.length > 0 ? 'dbkit.backup/v2' : 'dbkit.backup/v1',
  packed: [...packed],
});

/** Links to a file and to the pages that it had, durable, in the folder of pages of a backup in `root`; nothing of the backup has changed yet. */
export async function linkPages(
  root: BytePath,
  {
    record,
    of,
    files,
    staging,
    owner,
  }: { record: WholeRecord; of: string; files: Journal['files']; staging: BytePath; owner: Identity | undefined },
): Promise<void> {
  const folder = join(root, PAGES);
  await mkdir(toBytes(folder), { mode: 0o700 }).catch((cause: unknown) => {
    if (errnoOf(cause) !== 'EEXIST') throw cause;
  });
  await chmod(toBytes(folder), 0o700);
  if (owner) await chown(toBytes(folder), owner.uid, owner.gid);
  const packed = new Set(record.packed.map(({ path }) => path));
  for (const { path, number } of files) {
    await linkAnew(oldPages(staging, number), pageFile(root, nameOfOld(of, number)));
    if (!packed.has(path)) await linkAnew(join(root, path as BytePath), pageFile(root, nameOfFile(of, number)));
  }
  const readme = join(folder, fromText(README));
  await rm(toBytes(readme), { force: true }); // It may be a link.
  await writeFile(toBytes(readme), readmeOf(record.label), { mode: 0o600, flag: 'wx' });
  if (owner) await chown(toBytes(readme), owner.uid, owner.gid);
  await syncTree(root, [PAGES]);
}

const readmeOf = (label: string): string =>
  [
    `${label} is a whole backup, but no plain directory: a later backup has taken over files whose pages changed, and the pages that they had are here.`,
    `\`dbkit backup restore ${label}\` restores it, \`dbkit backup open ${label}\` starts a server on a plain copy of it.`,
    'docs/REPOSITORY-FORMAT.md tells how to do that by hand. Do not remove or change anything here.',
    '',
  ].join('\n');

/** After its record says so: no server starts on the directory, and no plain name leads to a file that is about to change. */
export async function hidePlain(root: BytePath, packed: readonly PackedFile[]): Promise<void> {
  const control = join(root, CONTROL);
  if (there(control)) await rename(toBytes(control), toBytes(join(root, PACKED_CONTROL)));
  const folders = new Set<BytePath>([PAGES, parentOf(CONTROL)]);
  for (const { path } of packed) {
    await rm(toBytes(join(root, path as BytePath)), { force: true });
    folders.add(parentOf(path as BytePath));
  }
  await syncTree(root, [...folders]);
}

/** Before its record says so: the plain names of files that are again what they were, of all files where none is packed any more. */
export async function showPlain(root: BytePath, now: readonly PackedFile[], before: readonly PackedFile[]): Promise<void> {
  const still = new Set(now.map(({ path }) => path));
  const folders = new Set<BytePath>([PAGES, parentOf(CONTROL)]);
  for (const { path, file } of before.filter((each) => !still.has(each.path))) {
    const plain = join(root, path as BytePath);
    if (!there(plain)) await link(toBytes(pageFile(root, file)), toBytes(plain));
    folders.add(parentOf(path as BytePath));
  }
  const control = join(root, PACKED_CONTROL);
  if (now.length === 0 && there(control)) await rename(toBytes(control), toBytes(join(root, CONTROL)));
  await syncTree(
    root,
    [...folders].filter((folder) => existsSync(toBytes(join(root, folder)))),
  );
}

/** After its record says so: what the record does not name goes. */
export async function clearPages(root: BytePath, packed: readonly PackedFile[]): Promise<void> {
  const folder = join(root, PAGES);
  if (packed.length === 0 && there(join(root, PACKED_CONTROL))) throw new Error(`pg_control is still in ${folder}`);
  if (packed.length === 0) return rm(toBytes(folder), { recursive: true, force: true });
  const named = new Set<string>([README, 'pg_control', ...packed.flatMap(({ file, deltas }) => [file, ...deltas])]);
  for (const name of await readdir(toBytes(folder))) if (!named.has(name)) await rm(toBytes(pageFile(root, name)), { force: true });
}
