import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import { parseControlFile } from '../formats/control-file.ts';
import { parseSegmentName } from '../formats/wal-segment.ts';
import { isThatSegment, newestSegments } from '../formats/wal-tip.ts';
import type { Finding } from '../inspection/findings.ts';
import { writeInventory } from '../inspection/inventory.ts';
import { rememberTablespaces } from '../inspection/tablespace-links.ts';
import type { Local } from '../instance/local.ts';
import type { Child, ExitReason } from '../kernel/machine.ts';
import { readPlain } from '../machine/plain-file.ts';
import { forgetUntold } from '../recovery/untold.ts';
import { forgetEnd } from '../wal/brought-end.ts';
import { keepMark, type Marked, mark } from '../wal/keep-mark.ts';
import { readMark } from '../wal/mark.ts';
import type { Handles } from './hold.ts';
import type { Archived } from './keep-archive.ts';

/**
 * Notes that the next start may build on, while the lock still keeps everybody else away: the inventory, and the mark. `marks` false: nobody has judged yet how
 * far the server came, so the mark stays that of the one before. Never rejects.
 */
export async function rememberStop(local: Local, damage: readonly Finding[], marks = true): Promise<void> {
  const { stateDir, system, volume } = local;
  await writeInventory(system, { stateDir, dataDir: volume.dataDir, damage }).catch((cause: unknown) =>
    system.log.warn('inventory.unwritten', 'the shutdown inventory could not be written; the next start will inspect without it', {
      why: String(cause),
    }),
  );
  await rememberTablespaces(volume.dataDir, local.owner, system).catch(() => undefined); // The list of the start still holds.
  if (!marks) return;
  await markStop(local).catch((cause: unknown) =>
    system.log.warn('mark.unwritten', 'the end of the WAL could not be recorded', { why: String(cause) }),
  );
}

async function markStop(local: Local): Promise<void> {
  const marked = await markedOf(local);
  if (marked?.state.startsWith('shut down')) await mark(marked, true, new AbortController().signal);
}

/** A cluster that has no mark yet gets one before it is ready: what its first clients commit is judged by it, however soon it dies. Never rejects. */
export async function markFirst(local: Local): Promise<void> {
  try {
    const marked = await markedOf(local);
    if (!marked || (await readMark(local.stateDir, local.volume.dataDir, marked.systemIdentifier))) return;
    await mark(marked, false, new AbortController().signal);
  } catch {
    return; // It is noted while the server runs, which also complains where that cannot be.
  }
}

/** Notes how far the WAL has come, and where tablespaces are, for as long as the server lives. Never rejects. */
export async function markWhileRunning(local: Local, child: Child): Promise<void> {
  const marked = await markedOf(local).catch(() => undefined); // What cannot be read now is noted at the stop.
  void forgetTold(local, child);
  if (marked) await keepMark({ ...marked, noted: tablespacesNoted(local) }, child);
}

const RECORDED_AFTER_MS = 2_000;

/** Notes of this start's recovery go once a server has served for as long as their record may take. Never rejects. */
async function forgetTold({ volume: { dataDir }, system }: Local, child: Child): Promise<void> {
  const ended = new AbortController();
  void child.exited.then(() => ended.abort());
  await system.clock.sleep(RECORDED_AFTER_MS, ended.signal).then(
    () => forgetNotes(dataDir),
    () => undefined, // Where it died the next start tells it again, under the same moment.
  );
}

const forgetNotes = (dataDir: string): Promise<unknown> => Promise.all([forgetEnd(dataDir), forgetUntold(dataDir)]).catch(() => undefined);

/** A tablespace that is made while the server runs is known as well, should its link be lost with a crash. */
function tablespacesNoted({ volume: { dataDir }, owner, system }: Local): () => Promise<void> {
  let seenMs = 0;
  return async () => {
    const changedMs = await stat(join(dataDir, 'pg_tblspc')).then(
      ({ mtimeMs }) => mtimeMs,
      () => seenMs, // The next start says that it is missing.
    );
    if (changedMs === seenMs) return;
    await rememberTablespaces(dataDir, owner, system).then(
      () => {
        seenMs = changedMs;
      },
      () => undefined, // The list of the start still holds, and the next mark tries again.
    );
  };
}

async function markedOf({
  system,
  stateDir,
  volume: { dataDir },
  owner,
}: Local): Promise<(Marked & { readonly state: string }) | undefined> {
  const read = parseControlFile(await readPlain(join(dataDir, 'global/pg_control')));
  if ('problem' in read) return undefined;
  const { systemIdentifier, walSegmentSizeBytes: segmentSizeBytes, state, checkpointLsn: lsn, timeline } = read.control;
  const staleUpTo = await newestSegment(dataDir, { systemIdentifier, segmentSizeBytes });
  return { system, stateDir, dataDir, owner, systemIdentifier, segmentSizeBytes, anchor: { lsn, timeline, staleUpTo }, state };
}

/** After a clean end the inventory is written, while the lock still keeps everybody else away. */
export async function afterwards(
  local: Local,
  handles: Handles,
  child: Child,
  { marking, archiving }: { readonly marking: Promise<void>; readonly archiving: Promise<Archived> },
  damage: readonly Finding[],
): Promise<ExitReason> {
  const reason = await child.exited;
  local.system.reached('server.stopped');
  const [archived] = await Promise.all([archiving, marking]);
  if (reason.code === 0) {
    await rememberStop(local, damage);
    await forgetNotes(local.volume.dataDir);
    await archived.finish();
    await handles.release();
  }
  return reason;
}

/** The newest segment that is one: behind the end in it, and in those before it, there may be pages of an abandoned future. */
async function newestSegment(dataDir: string, cluster: { systemIdentifier: string; segmentSizeBytes: number }): Promise<bigint> {
  const wal = join(dataDir, 'pg_wal');
  for (const name of newestSegments(await readdir(wal), cluster.segmentSizeBytes)) {
    if (await isThatSegment(fromText(wal), name, cluster)) return parseSegmentName(name, cluster.segmentSizeBytes)!.segment;
  }
  return 0n;
}
