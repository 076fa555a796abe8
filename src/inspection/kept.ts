import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { errnoOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlain, readPlainText } from '../machine/plain-file.ts';
import { syncFileSystem } from '../machine/sync-file-system.ts';

/**
 * Copies of the files that nothing can rebuild (pg_control, maps, transaction status, prepared transactions), made at a clean shutdown. Each
 * bears its digest, and all together the cluster and the checkpoint they belong to: a copy that a power cut left torn or full of zeros, or
 * one of another moment, is never used.
 */
const keptSchema = v.object({
  schema: v.literal('dbkit.kept/v1'),
  systemIdentifier: v.string(),
  checkpointLsn: v.string(),
  timeline: v.number(),
  files: v.array(v.tuple([v.string(), v.string()])),
});

/** The copies, and of which moment. */
export interface Kept {
  readonly systemIdentifier: string;
  readonly checkpointLsn: string;
  readonly timeline: number;
  /** Digest (SHA-256, hexadecimal) by path. */
  readonly digests: ReadonlyMap<string, string>;
}

type Moment = Pick<Kept, 'systemIdentifier' | 'checkpointLsn' | 'timeline'>;

const FOLDER = 'kept';
const LIST = 'kept.json';
const FSYNCS_MAX = 64; // More files are made durable by one syncfs(2).

/** Where the copy of a small file is kept. */
export const keptPath = (stateDir: string, path: string): string => join(stateDir, FOLDER, path);

/** The copies as a whole take the place of the earlier ones, durable before they do. */
export async function keepFiles(
  system: System,
  { stateDir, dataDir }: { stateDir: string; dataDir: string },
  moment: Moment,
  paths: readonly string[],
): Promise<void> {
  const [kept, fresh, old] = [FOLDER, `${FOLDER}.new`, `${FOLDER}.old`].map((name) => join(stateDir, name)) as [string, string, string];
  await rm(fresh, { recursive: true, force: true });
  await system.files.makeDirectory(fresh, { mode: 0o700 });
  const files: [string, string][] = [];
  const folders = new Set<string>([fresh]);
  for (const path of paths) {
    const body = await readPlain(join(dataDir, path)).catch((cause: unknown) => {
      if (errnoOf(cause) !== 'ENOENT') throw cause; // A link that leads nowhere.
      return undefined;
    });
    if (!body) continue;
    const folder = dirname(join(fresh, path));
    await system.files.makeDirectory(folder, { mode: 0o700 });
    folders.add(folder);
    await writeDurably(join(fresh, path), body, paths.length <= FSYNCS_MAX);
    files.push([path, digestOf(body)]);
  }
  await writeDurably(join(fresh, LIST), JSON.stringify({ schema: 'dbkit.kept/v1', ...moment, files }), true);
  const all = paths.length > FSYNCS_MAX && (await syncFileSystem(fresh, system, new AbortController().signal));
  if (!all) for (const folder of folders) await system.files.syncDirectory(folder);
  await rm(old, { recursive: true, force: true });
  await rename(kept, old).catch(() => undefined); // The first time there is none.
  await rename(fresh, kept);
  await rm(old, { recursive: true, force: true });
  await system.files.syncDirectory(stateDir);
}

async function writeDurably(path: string, body: string | Uint8Array, durable: boolean): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(body);
    if (durable) await file.sync();
  } finally {
    await file.close();
  }
}

const digestOf = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex');

/** The list of the kept copies; undefined where there is none that can be read: then nothing was kept. Rejects where dbkit is short of descriptors. */
export async function readKept(stateDir: string): Promise<Kept | undefined> {
  const text = await readPlainText(keptPath(stateDir, LIST)).catch(unlessOwnTrouble); // Another user's state says nothing to us.
  try {
    const { systemIdentifier, checkpointLsn, timeline, files } = v.parse(keptSchema, JSON.parse(text ?? ''));
    return { systemIdentifier, checkpointLsn, timeline, digests: new Map(files) };
  } catch {
    return undefined;
  }
}

/** The kept bytes of `path`; undefined where none were kept, or where they are not what was kept. */
export async function keptBytes(stateDir: string, kept: Kept | undefined, path: string): Promise<Buffer | undefined> {
  const digest = kept?.digests.get(path);
  if (digest === undefined) return undefined;
  const body = await readPlain(keptPath(stateDir, path)).catch(unlessOwnTrouble);
  return body && digestOf(body) === digest ? body : undefined;
}

/** The server has gone on from an earlier point than the copies are of: only the configuration among them means something still. */
export async function forgetAllButConfiguration(system: System, stateDir: string, kept: Kept): Promise<void> {
  const { systemIdentifier, checkpointLsn, timeline } = kept;
  const files = [...kept.digests].filter(([path]) => /^[^/]+\.conf$/.test(path));
  const list = { schema: 'dbkit.kept/v1', systemIdentifier, checkpointLsn, timeline, files };
  await system.files.write(keptPath(stateDir, LIST), JSON.stringify(list), { mode: 0o600 });
}
