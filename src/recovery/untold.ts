import { join } from 'node:path';
import * as v from 'valibot';
import type { Local } from '../instance/local.ts';
import { noteBeside } from '../instance/note-beside.ts';
import { present } from '../instance/volume.ts';
import { wordsOf } from '../kernel/errors.ts';
import { joinReports, reportOf } from './describe.ts';
import { recoveryReport } from './history.ts';
import { type Loss, told } from './losses.ts';
import type { Plan } from './plan.ts';
import { plannedLosses } from './plan-losses.ts';
import type { RecoveryReport } from './report.ts';

const onDisk = noteBeside('untold', { isDone: v.boolean(), report: recoveryReport });
type Place = Pick<Local, 'volume' | 'owner' | 'system'>;

const write = (place: Place, report: RecoveryReport, isDone: boolean): Promise<void> =>
  onDisk.write(place, { isDone, report: report as unknown as v.InferOutput<typeof recoveryReport> });

/**
 * Written when a replacement is decided, and before anything is moved: should dbkit be killed, the next start tells what it cost. What is noted already stays told.
 * Resolves to the note, for `noteDone`; the record bears its moment.
 */
export async function noteUntold(place: Place, report: RecoveryReport, isDone = false): Promise<RecoveryReport> {
  const note = joinReports(await readUntold(place.volume), report);
  await write(place, note, isDone);
  return note;
}

/** It has been made: from now on it is told wherever the quarantine went. */
export const noteDone = (place: Place, note: RecoveryReport): Promise<void> => write(place, note, true);

/** Losses that the files show once: a slot, or WAL, that is set aside, and files of which nothing tells what they held, until a server has written to them. */
const fleeting: ReadonlySet<Loss['kind']> = new Set<Loss['kind']>(['unknown', 'slot', 'origins', 'window']);

/** The same of a repair, or of a start as it is: resolves to the moment; undefined where there is nothing to note. Never rejects: a full volume must not keep a server down. */
export async function noteFleeting(local: Local, plan: Plan): Promise<string | undefined> {
  if (plan.decision !== 'repair' && plan.decision !== 'start') return undefined;
  const losses = plannedLosses(plan).filter(({ kind }) => fleeting.has(kind));
  if (losses.length === 0) return undefined;
  const planned = { done: [], quarantine: null, losses, failed: [] };
  const report = reportOf(local, plan, planned, local.system.clock.monotonicMs());
  return noteUntold(local, report, true).then(
    ({ at }) => at,
    (cause: unknown) => {
      local.system.log.warn('untold.unnoted', `should dbkit be killed now, the next start cannot tell ${report.lost}: ${wordsOf(cause)}`);
      return undefined;
    },
  );
}

/** The report of a replacement that an earlier run came to make, and nobody may have heard of; undefined where it never began, or was taken back. */
export async function readUntold({ dataDir }: Local['volume']): Promise<RecoveryReport | undefined> {
  const noted = await onDisk.read(dataDir);
  if (noted === undefined || noted === 'garbled') return undefined; // The quarantine still shows that data were replaced.
  const report = noted.report as unknown as RecoveryReport;
  try {
    told(report.losses); // Throws for a loss that this version does not know.
    return noted.isDone || (await present(report.quarantine ?? join(dataDir, 'global/pg_control'))) ? report : undefined;
  } catch {
    return undefined;
  }
}

/** A server serves, and the report is on record. */
export const forgetUntold = onDisk.forget;
