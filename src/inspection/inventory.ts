import { copyFile, lstat, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { parseControlFile } from '../formats/control-file.ts';
import { formatLsn } from '../formats/wal-segment.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { type Finding, type FindingCode, findingCodes } from './findings.ts';
import type { KnownFile } from './known-file.ts';
import { type Entry, type Walk, walk } from './walk.ts';

/** Path, size and time of every file, written right after a clean shutdown: until the server runs again, only these are right. */
const inventorySchema = v.object({
  schema: v.literal('dbkit.inventory/v1'),
  systemIdentifier: v.string(),
  checkpointLsn: v.string(),
  takenAt: v.string(),
  files: v.array(v.tuple([v.string(), v.number(), v.number()])),
  /** What the server complained about while it ran: it stays known until a start finds it mended. */
  damage: v.optional(
    v.array(
      v.object({
        code: v.custom<FindingCode>((code) => typeof code === 'string' && code in findingCodes),
        path: v.string(),
        evidence: v.string(),
      }),
    ),
    [],
  ),
});
export type Inventory = v.InferOutput<typeof inventorySchema>;

const KEPT_SLRU_BYTES_MAX = 16 * 1024 * 1024;
const pathOf = (stateDir: string): string => join(stateDir, 'inventory.json');
/** Where the copy of a small file is kept. */
export const keptPath = (stateDir: string, path: string): string => join(stateDir, 'kept', path);

/** Files that change without the server, or that nobody misses. */
const unlisted =
  /^(postmaster\.(pid|opts)|dbkit\.initializing|current_logfiles|backup_manifest|pg_stat_tmp\/.*|(log|pg_log)\/.*|.*\/pgsql_tmp.*|pgsql_tmp.*|[^/]*\.conf)$/;
const small = /^(global\/pg_control|(.*\/)?PG_VERSION|(.*\/)?pg_filenode\.map|[^/]+\.conf)$/;
const slru = /^(pg_xact|pg_multixact\/(offsets|members))\/[0-9A-F]+$/;

/** Written when pg_control says that the server was shut down, and only then; together with copies of what nothing can rebuild. */
export async function writeInventory(
  system: System,
  { stateDir, dataDir, damage }: { stateDir: string; dataDir: string; damage: readonly Finding[] },
): Promise<void> {
  const parsed = parseControlFile(await readFile(join(dataDir, 'global/pg_control')));
  if ('problem' in parsed || !parsed.control.state.startsWith('shut down')) return;
  const seen = walk(dataDir, new AbortController().signal);
  const files = filesOf(seen);
  await keep(system, stateDir, dataDir, [...files, ...linkedConfiguration(seen)]);
  const inventory: Inventory = {
    schema: 'dbkit.inventory/v1',
    systemIdentifier: parsed.control.systemIdentifier,
    checkpointLsn: formatLsn(parsed.control.checkpointLsn),
    takenAt: system.clock.now().toISOString(),
    damage: damage.map(({ code, path, evidence }) => ({ code, path, evidence })),
    files: files.filter(({ path }) => !unlisted.test(path)).map(({ path, sizeBytes, mtimeMs }) => [path, sizeBytes, mtimeMs]),
  };
  await system.files.write(pathOf(stateDir), JSON.stringify(inventory), { mode: 0o600 });
}

const filesOf = ({ entries }: Walk): Entry[] => [...entries.values()].filter(({ kind }) => kind === 'file');

/** Configuration that lies elsewhere and is linked from here, where the link leads to something. */
const linkedConfiguration = ({ entries }: Walk): Entry[] =>
  [...entries.values()].filter(({ kind, path }) => kind === 'link' && /^[^/]+\.conf$/.test(path));

/** The kept copies as a whole take the place of the earlier ones. */
async function keep(system: System, stateDir: string, dataDir: string, files: readonly Entry[]): Promise<void> {
  const [kept, fresh, old] = ['kept', 'kept.new', 'kept.old'].map((name) => join(stateDir, name)) as [string, string, string];
  const slruBytes = files.filter(({ path }) => slru.test(path)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const chosen = files.filter(({ path }) => small.test(path) || (slru.test(path) && slruBytes <= KEPT_SLRU_BYTES_MAX));
  await rm(fresh, { recursive: true, force: true });
  for (const { path } of chosen) {
    await system.files.makeDirectory(dirname(join(fresh, path)), { mode: 0o700 });
    await copyFile(join(dataDir, path), join(fresh, path)).catch((cause: unknown) => {
      if (errnoOf(cause) !== 'ENOENT') throw cause; // A link that leads nowhere.
    });
  }
  await rm(old, { recursive: true, force: true });
  await rename(kept, old).catch(() => undefined); // The first time there is none.
  await rename(fresh, kept);
  await rm(old, { recursive: true, force: true });
  await system.files.syncDirectory(stateDir);
}

/** Called before the server is started: from then on the inventory would lie. The kept configuration stays, as the last good copy. */
export async function voidInventory(system: System, stateDir: string): Promise<void> {
  await rm(pathOf(stateDir), { force: true });
  await system.files.syncDirectory(stateDir);
}

export async function readInventory(system: System, stateDir: string): Promise<Inventory | undefined> {
  return system.files.readJson(pathOf(stateDir), (value) => v.parse(inventorySchema, value)).catch(() => undefined); // Another user's state says nothing to us.
}

/** The entry of `path`, or those below it. */
export const filesAt = ({ files }: Inventory, path: string): KnownFile[] =>
  files
    .filter(([name]) => name === path || name.startsWith(`${path}/`))
    .map(([name, sizeBytes, mtimeMs]) => ({ path: name, sizeBytes, mtimeMs }));

/** What differs from the inventory. */
export interface Difference {
  readonly path: string;
  /** Undefined: the file is gone. */
  readonly now: Entry | undefined;
  readonly sizeBytes: number;
  /** What was found when its content was read; undefined: it was not. */
  readonly evidence?: string | undefined;
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

/** True when a kept copy of `path` exists and has the size that the inventory says is right. */
export async function isKept(stateDir: string, inventory: Inventory, path: string): Promise<boolean> {
  const listed = inventory.files.find(([name]) => name === path);
  const copy = await lstat(keptPath(stateDir, path)).catch(() => undefined);
  return listed !== undefined && copy?.size === listed[1];
}
