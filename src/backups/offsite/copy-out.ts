import { rm } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import * as v from 'valibot';
import { type BytePath, fromText, join } from '../../formats/byte-path.ts';
import { DbkitError, errnoOf, unlessMissing } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { readPlain, readPlainText } from '../../machine/plain-file.ts';
import { OBJECT_BYTES_MAX } from '../../store/store.ts';
import type { Backup } from '../backup.ts';
import { filesAmong, isOfPages, type Packing, whereaboutsIn } from '../base/pages/packed.ts';
import { listTree } from '../list-tree.ts';
import type { HeldBackups } from './held-backups.ts';
import { type CopiedFile, type CopyManifest, type Pack, packManifest, unpackManifest } from './manifest.ts';
import { type OpenFile, openBytes, openFile, openIfThere } from './open-file.ts';
import { createPacker, type Packer, type StoredPacks } from './packer.ts';
import type { CopySummary, Place } from './place.ts';
import { copyOneFile } from './read-file.ts';

export interface CopyOutNeeds {
  readonly place: Place;
  readonly backupDir: string;
  /** Where the WAL begins that it needs; undefined for a dump. */
  readonly wal?: CopySummary['wal'];
  /** Notes of this machine on the copy; where it is lost, whole files are sent again. */
  readonly memoryDir: string;
  readonly system: Pick<System, 'files' | 'clock'>;
  readonly held: HeldBackups;
}

/**
 * One backup into a copy: packs, then the WAL (`before`), then its manifest, then its summary. Killed at any instant, what is there already is used
 * by the next run. `sent`: the packs of this run, or 'nothing' where the backup was there already. The caller keeps the backup from being removed.
 */
export async function copyOut<W>(
  { place, backupDir, memoryDir, wal: needed, system, held }: CopyOutNeeds,
  backup: Backup,
  before: () => Promise<W>,
  signal: AbortSignal,
): Promise<{ readonly backup: CopySummary; readonly sentBytes: number; readonly sent: 'nothing' | ReadonlySet<string>; readonly wal: W }> {
  const there = await place.summary(backup.label, signal);
  if (there !== undefined) return { backup: there, sentBytes: 0, sent: 'nothing', wal: await before() };
  await system.files.ownDirectory(memoryDir, { mode: 0o700 });
  const { prefix, store } = place;
  const present = new Map((await store.list(`${prefix}packs/`, signal)).map(({ key, sizeBytes }) => [key.slice(prefix.length), sizeBytes]));
  const stored = await rememberedPacks(joinPath(memoryDir, 'packs.jsonl'), present, system);
  const earlier = await earlierManifest(place, memoryDir, present, signal);
  const packer = createPacker({ ...place, stored }, earlier?.packs.length ?? 0);
  const copy = (packing: Packing | undefined): ReturnType<typeof copyTree> =>
    copyTree({ root: fromText(backupDir), label: backup.label, held }, packing && earlier && { packing, earlier }, packer, signal);
  const { directories, files } = await (earlier === undefined ? copy(undefined) : held.holding(earlier.label, copy));
  const made = await packer.finish(signal);
  const packs = [...(earlier?.packs ?? []), ...made];
  const wal = await before();
  const manifest = withoutUnused({ label: backup.label, systemIdentifier: place.systemIdentifier, packs, directories, files });
  const { pgVersion, createdAt, sizeBytes } = backup;
  const sentBytes = packer.sentBytes();
  const about = { pgVersion, createdAt, sizeBytes, sentBytes, copiedAt: system.clock.now().toISOString(), wal: needed };
  const summary = await place.publish(manifest, about, signal);
  await system.files.write(joinPath(memoryDir, 'newest.manifest.zst'), await packManifest(manifest), { mode: 0o600 });
  await rm(joinPath(memoryDir, 'packs.jsonl'), { force: true });
  return { backup: summary, sentBytes, sent: new Set(made.map(({ key }) => key)), wal };
}

/** Files of packed backups are copied as what they were: a copy is plain. */
async function copyTree(
  { root, label, held }: { readonly root: BytePath; readonly label: string; readonly held: HeldBackups },
  before: { readonly packing: Packing; readonly earlier: CopyManifest } | undefined,
  packer: Packer,
  signal: AbortSignal,
): Promise<{ directories: BytePath[]; files: CopiedFile[] }> {
  const top = fromText(label);
  const tree = await listTree(join(root, top), signal);
  for (const path of tree.irregular)
    throw new DbkitError('data.corrupt', `${label}/${path} is not a regular file`, {
      hint: 'a backup holds only regular files: find out who put it there',
    });
  const whereabouts = whereaboutsIn(held.packing, join(root, top));
  const known = new Map(before?.earlier.files.map((file) => [file.path.slice(file.path.indexOf('/') + 1), file]));
  const earlierPlace = before && whereaboutsIn(before.packing, join(root, fromText(before.earlier.label)));
  const files: CopiedFile[] = [];
  for (const path of filesAmong(tree.files, held.packing)) {
    const file = known.get(path);
    const other = file && earlierPlace && { file, open: () => openIfThere(earlierPlace(path)) };
    files.push(await copyOneFile({ path: join(top, path), open: () => openFile(whereabouts(path)) }, other, packer, signal));
  }
  const record = fromText(`${label}.json`);
  const openRecord = async (): Promise<OpenFile> =>
    held.record ? openBytes(held.record, 0o600) : openFile({ from: join(root, record), layers: undefined });
  files.push(await copyOneFile({ path: record, open: openRecord }, undefined, packer, signal));
  return { directories: [top, ...tree.directories.filter((path) => !isOfPages(path)).map((path) => join(top, path))], files };
}

/** Packs that nothing refers to any more are left out, and the rest numbered anew. */
export function withoutUnused(manifest: CopyManifest): CopyManifest {
  const used = [...new Set(manifest.files.flatMap(({ runs }) => runs.map(({ pack }) => pack)))].sort((a, b) => a - b);
  const number = new Map(used.map((old, index) => [old, index]));
  return {
    ...manifest,
    packs: used.map((old) => manifest.packs[old]!),
    files: manifest.files.map((file) => ({ ...file, runs: file.runs.map((run) => ({ ...run, pack: number.get(run.pack)! })) })),
  };
}

/** The manifest of the backup that was copied last, where all its packs are still there. */
async function earlierManifest(
  { systemIdentifier, summary }: Place,
  memoryDir: string,
  present: ReadonlyMap<string, number>,
  signal: AbortSignal,
): Promise<CopyManifest | undefined> {
  try {
    const manifest = await unpackManifest(await readPlain(joinPath(memoryDir, 'newest.manifest.zst'), { sizeMaxBytes: OBJECT_BYTES_MAX }));
    if (manifest.systemIdentifier !== systemIdentifier || !manifest.packs.every((pack) => isPresent(pack, present))) return undefined;
    return (await summary(manifest.label, signal)) && manifest;
  } catch (cause) {
    signal.throwIfAborted();
    if (['ENOENT', 'EFBIG'].includes(errnoOf(cause) ?? '') || (cause instanceof DbkitError && cause.code === 'data.corrupt'))
      return undefined;
    throw cause;
  }
}

const isPresent = ({ key, storedBytes }: Pick<Pack, 'key' | 'storedBytes'>, present: ReadonlyMap<string, number>): boolean =>
  present.get(key) === storedBytes;

const rowSchema = v.tuple([v.string(), v.pipe(v.string(), v.regex(/^packs\/[0-9a-f]{64}(\.age)?$/)), v.number()]);

/** The packs that an interrupted run has stored, a line a pack; a line that is cut off is passed over. */
async function rememberedPacks(path: string, present: ReadonlyMap<string, number>, { files }: Pick<System, 'files'>): Promise<StoredPacks> {
  const rows = new Map<string, { key: string; storedBytes: number }>();
  const text = (await readPlainText(path).catch(unlessMissing)) ?? '';
  for (const line of text.split('\n')) {
    const row = v.safeParse(rowSchema, parsed(line));
    if (!row.success) continue;
    const [plainSha256, key, storedBytes] = row.output;
    if (isPresent({ key, storedBytes }, present)) rows.set(plainSha256, { key, storedBytes });
  }
  return {
    find: (plainSha256) => rows.get(plainSha256),
    async add(plainSha256, pack) {
      rows.set(plainSha256, pack);
      await files.append(path, `${JSON.stringify([plainSha256, pack.key, pack.storedBytes])}\n`, { mode: 0o600 });
    },
  };
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
