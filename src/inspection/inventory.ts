import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseControlFile } from '../formats/control-file.ts';
import { formatLsn } from '../formats/wal-segment.ts';
import { unlessMissing } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlain } from '../machine/plain-file.ts';
import { type Finding, type FindingCode, findingCodes } from './findings.ts';
import { type Kept, keepFiles, keptBytes } from './kept.ts';
import type { KnownFile } from './known-file.ts';
import { type Entry, type Walk, walk } from './walk.ts';

type FileRow = [path: string, sizeBytes: number, mtimeMs: number];

/** One by one and without a copy of each: there are tens of thousands, and every start reads them. */
const areFileRows = (rows: unknown): boolean =>
  Array.isArray(rows) &&
  rows.every(
    (row: unknown) =>
      Array.isArray(row) && row.length === 3 && typeof row[0] === 'string' && typeof row[1] === 'number' && typeof row[2] === 'number',
  );

/** Path, size and time of every file, written right after a clean shutdown: until the server runs again, only these are right. */
const inventorySchema = v.object({
  schema: v.literal('dbkit.inventory/v1'),
  systemIdentifier: v.string(),
  checkpointLsn: v.string(),
  takenAt: v.string(),
  files: v.custom<FileRow[]>(areFileRows),
  /** The complaints of the server while it ran: it stays known until a start finds it mended. */
  damage: v.optional(
    v.array(
      v.object({
        code: v.custom<FindingCode>((code) => typeof code === 'string' && code in findingCodes),
        path: v.string(),
        evidence: v.string(),
        blocks: v.optional(v.array(v.number())),
      }),
    ),
    [],
  ),
});
export type Inventory = v.InferOutput<typeof inventorySchema>;

const KEPT_TRANSACTION_BYTES_MAX = 16 * 1024 * 1024;
const pathOf = (stateDir: string): string => join(stateDir, 'inventory.json');
/** That of the last clean shutdown, while the server runs or after a crash: files held at least that much then. */
const lastPath = (stateDir: string): string => join(stateDir, 'inventory.last.json');

/** Files that change without the server, or that nobody misses. */
const unlisted =
  /^(postmaster\.(pid|opts)|dbkit\.initializing|current_logfiles|backup_manifest|pg_stat_tmp\/.*|(log|pg_log)\/.*|.*\/pgsql_tmp.*|pgsql_tmp.*|[^/]*\.conf)$/;
const small = /^(global\/pg_control|pg_logical\/replorigin_checkpoint|(.*\/)?PG_VERSION|(.*\/)?pg_filenode\.map|[^/]+\.conf)$/;
/** Transaction status, and the state files of prepared transactions. */
const transactions = /^(pg_xact|pg_multixact\/(offsets|members)|pg_twophase)\/[0-9A-F]+$/;

/** Written when pg_control says that the server was shut down, and only then; together with copies of what nothing can rebuild. */
export async function writeInventory(
  system: System,
  { stateDir, dataDir, damage }: { stateDir: string; dataDir: string; damage: readonly Finding[] },
): Promise<void> {
  const parsed = parseControlFile(await readPlain(join(dataDir, 'global/pg_control')));
  if ('problem' in parsed || !parsed.control.state.startsWith('shut down')) return;
  const seen = walk(dataDir, new AbortController().signal);
  const files = filesOf(seen);
  const { systemIdentifier, timeline } = parsed.control;
  const moment = { systemIdentifier, checkpointLsn: formatLsn(parsed.control.checkpointLsn) };
  await keepFiles(system, { stateDir, dataDir }, { ...moment, timeline }, [...worthKeeping(files), ...linkedConfiguration(seen)]);
  const inventory: Inventory = {
    schema: 'dbkit.inventory/v1',
    ...moment,
    takenAt: system.clock.now().toISOString(),
    damage: damage.map(({ code, path, evidence, blocks }) => ({ code, path, evidence, ...(blocks ? { blocks: [...blocks] } : {}) })),
    files: files.filter(({ path }) => !unlisted.test(path)).map(({ path, sizeBytes, mtimeMs }) => [path, sizeBytes, mtimeMs]),
  };
  await system.files.write(pathOf(stateDir), JSON.stringify(inventory), { mode: 0o600 });
}

const filesOf = ({ entries }: Walk): Entry[] => [...entries.values()].filter(({ kind }) => kind === 'file');

/** Configuration that lies elsewhere and is linked from here, where the link leads to something. */
const linkedConfiguration = ({ entries }: Walk): string[] =>
  [...entries.values()].filter(({ kind, path }) => kind === 'link' && /^[^/]+\.conf$/.test(path)).map(({ path }) => path);

/** Small files that nothing can rebuild; transaction status only where it is not too much to copy at every stop. */
function worthKeeping(files: readonly Entry[]): string[] {
  const bytes = files.filter(({ path }) => transactions.test(path)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return files
    .filter(({ path }) => small.test(path) || (transactions.test(path) && bytes <= KEPT_TRANSACTION_BYTES_MAX))
    .map(({ path }) => path);
}

/**
 * Called before the server is started: from then on the inventory would lie, and only says how much there was at least. The kept configuration
 * stays, as the last good copy.
 */
export async function voidInventory(system: System, stateDir: string): Promise<void> {
  await rename(pathOf(stateDir), lastPath(stateDir)).catch(unlessMissing);
  await system.files.syncDirectory(stateDir);
}

/** After the data was replaced: neither says anything of what is there now. */
export async function dropInventory(system: System, stateDir: string): Promise<void> {
  for (const path of [pathOf(stateDir), lastPath(stateDir)]) await rm(path, { force: true });
  await system.files.syncDirectory(stateDir);
}

export async function readLastInventory(system: System, stateDir: string): Promise<Inventory | undefined> {
  return system.files.readJson(lastPath(stateDir), (value) => v.parse(inventorySchema, value)).catch(unlessOwnTrouble);
}

export async function readInventory(system: System, stateDir: string): Promise<Inventory | undefined> {
  return system.files.readJson(pathOf(stateDir), (value) => v.parse(inventorySchema, value)).catch(unlessOwnTrouble); // Another user's state says nothing to us.
}

/** The entry of `path`, or those below it. */
export function filesAt({ files }: Inventory, path: string): KnownFile[] {
  const asKnown = ([name, sizeBytes, mtimeMs]: Inventory['files'][number]): KnownFile => ({ path: name, sizeBytes, mtimeMs });
  const byPath = indexes.get(files) ?? new Map(files.map((file) => [file[0], file] as const));
  indexes.set(files, byPath);
  const file = byPath.get(path);
  return file ? [asKnown(file)] : files.filter(([name]) => name.startsWith(`${path}/`)).map(asKnown);
}

/** Thousands of files may be asked for one by one. */
const indexes = new WeakMap<Inventory['files'], ReadonlyMap<string, Inventory['files'][number]>>();

/** The differences from the inventory. */
export interface Difference {
  readonly path: string;
  /** Undefined: the file is gone. */
  readonly now: Entry | undefined;
  readonly sizeBytes: number;
  /** The findings when its content was read; undefined: it was not. */
  readonly evidence?: string | undefined;
  /** Its pages are those of an index. */
  readonly isIndex?: boolean | undefined;
}

export function compareInventory({ entries }: Walk, { files }: Inventory): Difference[] {
  const differences: Difference[] = [];
  for (const [path, sizeBytes, mtimeMs] of files) {
    const now = entries.get(path);
    if (now?.sizeBytes !== sizeBytes || !isSameTime(now.mtimeMs, mtimeMs)) differences.push({ path, now, sizeBytes });
  }
  return differences;
}

/** Most archives and some file systems keep whole seconds. */
const isSameTime = (nowMs: number, thenMs: number): boolean =>
  nowMs === thenMs || (nowMs % 1000 === 0 && Math.floor(thenMs / 1000) * 1000 === nowMs);

/** True when the copy that was kept of `path` belongs to the inventory's very moment and is still what was kept. */
export async function isKept(stateDir: string, kept: Kept | undefined, inventory: Inventory, path: string): Promise<boolean> {
  if (kept?.checkpointLsn !== inventory.checkpointLsn || kept.systemIdentifier !== inventory.systemIdentifier) return false;
  const listed = inventory.files.find(([name]) => name === path);
  const copy = await keptBytes(stateDir, kept, path);
  return listed !== undefined && copy?.length === listed[1];
}
