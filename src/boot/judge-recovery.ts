import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import { parseLsn } from '../formats/wal-segment.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { forgetAllButConfiguration, readKept } from '../inspection/kept.ts';
import { isOfThisStop } from '../inspection/reached.ts';
import { readControl } from '../inspection/state.ts';
import type { Local } from '../instance/local.ts';
import { incident } from '../recovery/incidents.ts';
import { told } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { type Shortfall, shortfallLoss, shortfallOf } from '../recovery/shortfall.ts';
import { readEnd } from '../wal/brought-end.ts';
import { readReached } from '../wal/reached.ts';

/** The state of pg_control right before the server was started. */
export interface BeforeStart {
  readonly control: ControlFile | undefined;
  /** A restored copy that has not recovered yet: what it lacks was told when it was restored. */
  readonly isRestored: boolean;
}

export function beforeStart({ volume: { dataDir } }: Local): BeforeStart {
  const read = readControl(dataDir);
  return { control: 'control' in read ? read.control : undefined, isRestored: existsSync(join(dataDir, 'backup_label')) };
}

/** One server's way up: what is told of it is judged once its databases have answered, and by then pg_control says more. */
export interface Recovered {
  readonly before: BeforeStart;
  readonly seen: Inspection;
  readonly standby: boolean;
  /** As it was when the server let dbkit in: where it went on. */
  readonly wentOn: ControlFile | undefined;
}

/**
 * Compares where the server went on with how far its WAL had come. Undefined where it came as far as the mark, or where the question does not
 * arise; else a report with the window that is lost, or that it is not known.
 */
export async function judgeRecovery(local: Local, { before, seen, standby, wentOn }: Recovered): Promise<RecoveryReport | undefined> {
  const { volume, stateDir, backupDir, system } = local;
  const begunMs = system.clock.monotonicMs();
  if (wentOn === undefined || before.control === undefined) return undefined;
  const { checkpointLsn, timeline, systemIdentifier } = wentOn;
  const kept = await readKept(stateDir);
  if (kept && kept.systemIdentifier === systemIdentifier && (parseLsn(kept.checkpointLsn) > checkpointLsn || kept.timeline !== timeline))
    await forgetAllButConfiguration(system, stateDir, kept);
  const { signal: unstopped } = new AbortController(); // On the way out of a start that is stopped it is told too.
  const mark = await readReached(backupDir, system.files)(stateDir, volume.dataDir, systemIdentifier, unstopped);
  const shortfall = shortfallOf({
    follows: standby || seen.follows,
    wasClean: before.control.state === 'shut down' && !before.isRestored,
    isRestored: before.isRestored,
    wentOnAt: checkpointLsn,
    timeline,
    mark,
    behindGap: seen.behindGap,
    isTailTorn: seen.isTailTorn,
    broughtUpTo: await readEnd(volume.dataDir, systemIdentifier),
    isUnproven:
      kept === undefined && // Not only void: a start that was refused, or cut off, leaves the copies of the stop before it.
      seen.report.inventory === 'none' &&
      seen.report.checksums === false &&
      isOfThisStop(mark, before.control),
  });
  if (shortfall.kind === 'none') return undefined;
  const { losses, lost } = told([shortfallLoss(shortfall)]);
  return {
    at: system.clock.now().toISOString(),
    findings: [
      shortfall.kind === 'window'
        ? { code: 'wal.short', path: 'pg_wal', evidence: shortWords(shortfall, lost), severity: 'certain' }
        : shortfall.why === 'no-state'
          ? { code: 'inventory.missing', path: '.', evidence: lost, severity: 'info' }
          : { code: 'wal.unmarked', path: 'pg_wal', evidence: lost, severity: 'info' },
    ],
    decision: 'start',
    ...incident('recovery-judged'),
    steps: [],
    quarantine: null,
    losses,
    lost,
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}

const shortWords = ({ toLsn }: Extract<Shortfall, { kind: 'window' }>, lost: string): string =>
  toLsn === undefined
    ? `the last WAL that there is was the archive’s: ${lost} is gone, if anything was`
    : `recovery ended before the WAL did: ${lost} is gone`;
