import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import { type ControlFile, inProduction, parseControlFile } from '../formats/control-file.ts';
import { beginsMinimal, readWal } from '../formats/wal-reader.ts';
import { parseSegmentName, timelineOfHistory } from '../formats/wal-segment.ts';
import type { Finding } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { keptBytes, readKept } from '../inspection/kept.ts';
import type { Local } from '../instance/local.ts';
import { present } from '../instance/volume.ts';
import { DbkitError } from '../kernel/errors.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readMark } from '../wal/mark.ts';
import { putFile } from './put-file.ts';
import { type Bench, setAside } from './set-aside.ts';

/** The rows that a replay from the kept copies brings back: everything that the WAL since then says. */
const replayed = new Set<Finding['code']>(['control.damaged', 'slru.damaged']);
export const isReplayed = ({ code }: Finding): boolean => replayed.has(code);

/**
 * True when all WAL from the last clean shutdown to the end is in pg_wal, whole and as far as the mark: then a crashed server that starts from
 * the pg_control of that shutdown loses nothing, as a base backup that is rolled forward does not.
 */
export async function canReplayFromKept(
  local: Pick<Local, 'stateDir' | 'volume'>,
  inspection: Inspection,
  signal: AbortSignal,
): Promise<boolean> {
  const { dataDir } = local.volume;
  const control = await keptControl(local.stateDir);
  if (!control || control.systemIdentifier !== inspection.report.systemIdentifier || inspection.cleanShutdown) return false;
  if (inspection.control && (inspection.control.timeline !== control.timeline || inspection.control.checkpointLsn < control.checkpointLsn))
    return false;
  const { timeline, systemIdentifier, walSegmentSizeBytes: segmentSizeBytes, checkpointLsn } = control;
  const names = (await readdir(join(dataDir, 'pg_wal')).catch(unlessOwnTrouble)) ?? [];
  const isLater = (name: string): boolean =>
    (timelineOfHistory(name) ?? parseSegmentName(name, segmentSizeBytes)?.timeline ?? 0) > timeline;
  if (names.some(isLater)) return false;
  let minimal = false;
  const read = await readWal(
    fromText(join(dataDir, 'pg_wal')),
    { timeline, systemIdentifier, segmentSizeBytes },
    checkpointLsn,
    signal,
    (record) => {
      minimal ||= beginsMinimal(record);
      return !minimal;
    },
  );
  const mark = await readMark(local.stateDir, dataDir, systemIdentifier);
  const reaches = mark === undefined || (mark.timeline === timeline && mark.lastRecordLsn < read.end);
  return read.last !== undefined && !read.broken && !read.missing && !minimal && reaches;
}

async function keptControl(stateDir: string): Promise<ControlFile | undefined> {
  const bytes = await keptBytes(stateDir, await readKept(stateDir), 'global/pg_control');
  const read = bytes && parseControlFile(bytes);
  return read && 'control' in read && read.control.state === 'shut down' ? read.control : undefined;
}

/** pg_control of the last clean shutdown, as of a server that crashed since; and, where it was that, the damaged status file of the same moment. */
export async function replayFromKept(bench: Bench, { path }: Finding): Promise<void> {
  const { local, asideDir } = bench;
  const kept = await readKept(local.stateDir);
  const control = await keptBytes(local.stateDir, kept, 'global/pg_control');
  if (!control)
    throw new DbkitError('data.corrupt', 'the copy that was kept of pg_control is not what was kept', {
      hint: '`dbkit recover --dry-run` shows what else can be done',
    });
  const [there, aside] = ['global/pg_control'].flatMap((name) => [join(local.volume.dataDir, name), join(asideDir, name)]) as [
    string,
    string,
  ];
  if ((await present(there)) && !(await present(aside))) {
    await local.system.files.makeDirectory(join(asideDir, 'global'), { mode: 0o700, owner: local.owner });
    await copyFile(there, aside);
  }
  if (path !== 'global/pg_control') {
    await setAside(bench, path);
    const then = await keptBytes(local.stateDir, kept, path);
    if (then) await putFile(local, path, then);
  }
  await local.system.files.write(there, inProduction(control), { mode: 0o600, owner: local.owner });
}
