import { join } from 'node:path';
import type { Finding } from '../inspection/findings.ts';
import { asksToRecover } from '../inspection/gaps.ts';
import type { Inspection } from '../inspection/inspect.ts';
import type { Local } from '../instance/local.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { openArchive } from '../wal/archive.ts';
import { type LedOn, leadOn } from '../wal/lead-on.ts';
import { ofWal } from './remedies-of-wal.ts';

const asked: ReadonlySet<Finding['code']> = new Set(ofWal.find(({ id }) => id === 'archive-leads-on')!.findings);

/**
 * WAL of the archive with which a crashed server recovers further than with its own pg_wal. Undefined where nothing is missing there, where a clean stop owes none, and
 * where the server gets its WAL elsewhere; an archive that cannot be read leads nowhere.
 */
export async function archivedWal(
  local: Pick<Local, 'volume' | 'backupDir' | 'system'>,
  { control, follows, saw }: Inspection,
  findings: readonly Finding[],
  signal: AbortSignal,
): Promise<LedOn | undefined> {
  if (!control || control.state.startsWith('shut down') || follows || asksToRecover(saw)) return undefined;
  if (!findings.some(({ code, severity }) => asked.has(code) && severity === 'certain')) return undefined;
  const { systemIdentifier, timeline, walSegmentSizeBytes: segmentSizeBytes, redoLsn, checkpointLsn } = control;
  const archive = openArchive(local.backupDir, systemIdentifier, local.system.files);
  const from = { identity: { systemIdentifier, timeline, segmentSizeBytes }, redoLsn, checkpointLsn };
  const ledOn = await leadOn(archive, join(local.volume.dataDir, 'pg_wal'), from, signal).catch(unlessOwnTrouble);
  signal.throwIfAborted();
  return ledOn;
}
