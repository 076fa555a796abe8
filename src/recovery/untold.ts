import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Local } from '../instance/local.ts';
import { present } from '../instance/volume.ts';
import { unlessOwnTrouble } from '../kernel/own-trouble.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { reportOf } from './describe.ts';
import { recoveryReport } from './history.ts';
import type { Loss } from './losses.ts';
import type { Plan } from './plan.ts';
import { plannedLosses } from './plan-losses.ts';
import type { RecoveryReport } from './report.ts';

const schema = v.object({ schema: v.literal('dbkit.untold/v1'), report: recoveryReport });
const pathIn = (dataDir: string): string => join(dataDir, '.dbkit', 'untold.json');

/** Written when a replacement is decided, and before anything is moved: should dbkit be killed, the next start tells what it cost. */
export const noteUntold = ({ volume, owner, system }: Pick<Local, 'volume' | 'owner' | 'system'>, report: RecoveryReport): Promise<void> =>
  system.files.write(pathIn(volume.dataDir), `${JSON.stringify({ schema: 'dbkit.untold/v1', report })}\n`, { mode: 0o600, owner });

/** Losses that the files show once: a slot that is set aside, and files of which nothing tells what they held, until a server has written to them. */
const fleeting: ReadonlySet<Loss['kind']> = new Set<Loss['kind']>(['unknown', 'slot', 'origins']);

/** The same of a repair, or of a start as it is. */
export async function noteFleeting(local: Local, plan: Plan): Promise<void> {
  const losses = plannedLosses(plan).filter(({ kind }) => fleeting.has(kind));
  if (losses.length === 0) return;
  const planned = { done: [], quarantine: null, losses, failed: [] };
  await noteUntold(local, reportOf(local, plan, planned, local.system.clock.monotonicMs()));
}

/** The report of a replacement that an earlier run came to make, and nobody may have heard of; undefined where it never began, or was taken back. */
export async function readUntold({ dataDir }: Local['volume']): Promise<RecoveryReport | undefined> {
  const text = await readPlainText(pathIn(dataDir)).catch(unlessOwnTrouble);
  if (text === undefined) return undefined;
  try {
    const { report } = v.parse(schema, JSON.parse(text));
    const trace = report.quarantine ?? join(dataDir, 'global/pg_control');
    return (await present(trace)) ? (report as unknown as RecoveryReport) : undefined;
  } catch {
    return undefined; // Garbled: the quarantine still shows that data were replaced.
  }
}

/** A server serves, and the report is on record. */
export const forgetUntold = (dataDir: string): Promise<void> => rm(pathIn(dataDir), { force: true });
