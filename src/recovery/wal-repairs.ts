import { copyFile, open, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import { inProduction } from '../formats/control-file.ts';
import { twoPhaseFile } from '../formats/two-phase.ts';
import { mainDataOf, RM_XACT } from '../formats/wal-reader.ts';
import { lastSegmentOf, parseSegmentName } from '../formats/wal-segment.ts';
import { isThatSegment, readFromSegment } from '../formats/wal-tip.ts';
import type { Finding } from '../inspection/findings.ts';
import { stateFileXid } from '../inspection/prepared.ts';
import { present } from '../instance/volume.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlain } from '../machine/plain-file.ts';
import { noteEnd } from '../wal/brought-end.ts';
import type { LedOn } from '../wal/lead-on.ts';
import { putFile } from './put-file.ts';
import { type Bench, setAside } from './set-aside.ts';

/**
 * Whole segments behind a gap go out of the way of the server, which would write over them; the damaged one is copied, as recovery still
 * needs its beginning.
 */
export async function keepWalAside(bench: Bench, { path }: Finding): Promise<void> {
  const { local, behindGap } = bench;
  const damaged = join(local.volume.dataDir, path);
  if (await present(damaged)) {
    await copyAside(bench, path);
    if (behindGap?.path === path && behindGap.staleFromBytes !== undefined) await blank(damaged, behindGap.staleFromBytes);
  }
  for (const segment of behindGap?.segments ?? []) await setAside(bench, segment);
  await local.system.files.syncDirectory(join(local.volume.dataDir, 'pg_wal'));
}

/**
 * Segments of the archive take the places of those that pg_wal lacks, or holds otherwise, which are set aside; so is what lies behind the end that recovery now comes
 * to. A kill in between is answered by looking again.
 */
export async function bringWal(bench: Bench): Promise<void> {
  const { local, ledOn, control } = bench;
  if (!ledOn || !control) throw new Error('no WAL was found in the archive');
  if (brought.has(ledOn)) return; // For another finding that this mends too.
  if (ledOn.endsInArchive) await noteEnd(local, { systemIdentifier: control.systemIdentifier, end: ledOn.end });
  const wal = join(local.volume.dataDir, 'pg_wal');
  await local.system.files.makeDirectory(join(wal, 'archive_status'), { mode: 0o700, owner: local.owner });
  for (const name of ledOn.segments) {
    const bytes = await ledOn.bytesOf(name);
    const path = join('pg_wal', name);
    const there = await readPlain(join(wal, name)).catch(unlessOwnTrouble);
    if (there?.equals(bytes)) continue; // By a run that was killed.
    await (there === undefined ? setAside(bench, path) : copyAside(bench, path)); // Its end may be nowhere else until the whole takes its place.
    await putFile(local, path, bytes);
    local.system.reached('repair.brought-back');
  }
  const size = control.walSegmentSizeBytes;
  for (const name of await readdir(wal)) {
    const segment = parseSegmentName(name, size);
    const isBehind = segment?.timeline === control.timeline && segment.segment > lastSegmentOf(ledOn.end, size);
    if (isBehind && (await isThatSegment(fromText(wal), name, { ...control, segmentSizeBytes: size })))
      await setAside(bench, join('pg_wal', name));
  }
  await local.system.files.syncDirectory(wal);
  brought.add(ledOn);
}

const brought = new WeakSet<LedOn>();

/** Of a file that something is still read from: what was copied first is the original. */
async function copyAside({ local, asideDir }: Bench, path: string): Promise<void> {
  const kept = join(asideDir, path);
  await local.system.files.makeDirectory(dirname(kept), { mode: 0o700, owner: local.owner });
  if (!(await present(kept))) await copyFile(join(local.volume.dataDir, path), kept);
}

/**
 * The server replays from the checkpoint of this pg_control on, as after a crash. An older checkpoint than need be loses nothing: that is
 * what a base backup does too.
 */
export async function replayFromOlderControl(bench: Bench, { path }: Finding): Promise<void> {
  const { local, asideDir } = bench;
  const file = join(local.volume.dataDir, path);
  const older = await readFile(file);
  await local.system.files.makeDirectory(join(asideDir, 'global'), { mode: 0o700, owner: local.owner });
  await copyFile(file, join(asideDir, path));
  await local.system.files.write(file, inProduction(older), { mode: 0o600, owner: local.owner });
}

/** WAL that recovery cannot get to must not look like the server's own WAL once it goes on from before it. */
async function blank(path: string, fromBytes: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    if (size > fromBytes) await file.write(Buffer.alloc(size - fromBytes), 0, size - fromBytes, fromBytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

const XACT_OPERATION_MASK = 0x70;
const XACT_PREPARE = 0x10;

/** The record of a PREPARE holds what its state file held. Where no WAL has it, the damaged file at least no longer stops the start. */
export async function rebuildPrepared(bench: Bench, { path }: Finding, signal: AbortSignal): Promise<void> {
  const { local } = bench;
  const bytes = await findPrepare(bench, path, signal);
  await setAside(bench, path);
  if (bytes) await putFile(local, path, bytes);
}

async function findPrepare({ local, control }: Bench, path: string, signal: AbortSignal): Promise<Buffer | undefined> {
  if (!control) return undefined;
  const { systemIdentifier, walSegmentSizeBytes: segmentSizeBytes } = control;
  const wal = join(local.volume.dataDir, 'pg_wal');
  const names = (await readdir(wal)).map((name) => parseSegmentName(name, segmentSizeBytes)).filter((name) => name !== undefined);
  const xid = stateFileXid(path);
  let found: Buffer | undefined;
  let readTo = 0n;
  for (const { timeline, segment } of names.sort((a, b) => Number(a.segment - b.segment) || a.timeline - b.timeline)) {
    if ((segment + 1n) * BigInt(segmentSizeBytes) <= readTo) continue; // Read already, with the one before.
    const read = await readFromSegment(fromText(wal), segment, { timeline, systemIdentifier, segmentSizeBytes }, signal, (record) => {
      if (record.manager !== RM_XACT || (record.info & XACT_OPERATION_MASK) !== XACT_PREPARE) return true;
      const file = twoPhaseFile(Buffer.from(mainDataOf(record.bytes)));
      if (file?.xid === xid) found = file.bytes; // The last one counts: numbers come round again.
      return true;
    });
    if (read && read.end > readTo) readTo = read.end;
  }
  return found;
}
