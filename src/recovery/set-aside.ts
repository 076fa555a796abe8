import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import type { BehindGap } from '../inspection/gaps.ts';
import type { KnownFile } from '../inspection/known-file.ts';
import type { Local } from '../instance/local.ts';
import { present } from '../instance/volume.ts';
import { errnoOf } from '../kernel/errors.ts';
import { makeLabel } from '../kernel/labels.ts';
import type { LedOn } from '../wal/lead-on.ts';
import { copyAll } from './copy-all.ts';

/** A file of the last clean shutdown, and where a backup holds the very same. */
export interface BackedUpFile extends KnownFile {
  readonly from: string;
  /** Of what is wanted, where another run may write to that file. */
  readonly sha256?: string;
}

/** One repair's surroundings: what it may set aside goes to `asideDir`, made at first use, beside nothing else. */
export interface Bench {
  readonly local: Local;
  readonly control: ControlFile | undefined;
  readonly asideDir: string;
  /** WAL that crash recovery cannot get to. */
  readonly behindGap: BehindGap | undefined;
  /** WAL of the archive that takes crash recovery further. */
  readonly ledOn: LedOn | undefined;
  /** By finding: the files that bring it back, with their times, and where the backup has them. */
  readonly backedUp: ReadonlyMap<string, readonly BackedUpFile[]>;
}

/** Moves one file or directory of PGDATA out of the way, keeping its path; nothing happens when it is not there. */
export async function setAside({ local, asideDir }: Pick<Bench, 'local' | 'asideDir'>, path: string): Promise<void> {
  if (path === '' || path === '.' || path.startsWith('..')) throw new Error(`setting aside '${path}' would take the whole data directory`);
  const from = join(local.volume.dataDir, path);
  if (!(await present(from))) return;
  const to = join(asideDir, path);
  await local.system.files.makeDirectory(dirname(to), { mode: 0o700, owner: local.owner });
  await rm(to, { recursive: true, force: true }); // Only what this very repair put there before it was killed.
  await rename(from, to).catch(async (cause: unknown) => {
    if (errnoOf(cause) !== 'EXDEV') throw cause;
    await copyAll(from, to, local.system); // A tablespace, or pg_wal, on a volume of its own.
    await local.system.files.syncDirectory(dirname(to));
    await rm(from, { recursive: true });
  });
  local.system.reached('repair.set-aside');
}

/** Where the files that one boot's repairs replace are put. */
export const asideDirectory = (local: Local): string => join(local.volume.setAside, makeLabel('replaced', local.system.clock.now()));
