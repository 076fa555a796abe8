import { join } from 'node:path';
import * as v from 'valibot';
import type { JobName } from '../../config/schedules.ts';
import type { Files } from '../../kernel/machine.ts';

const text = v.string();
const moment = v.pipe(text, v.isoTimestamp());
const job = v.looseObject({
  expression: text,
  /** When it is due. */
  nextAt: moment,
  /** When it last began; null: it never did. */
  ranAt: v.nullable(moment),
  outcome: v.nullable(v.picklist(['running', 'done', 'failed', 'interrupted'])),
});
export type JobState = v.InferOutput<typeof job>;

const schema = v.looseObject({ schema: v.literal('dbkit.schedule/v1'), jobs: v.record(text, job) });

/** The last and the next run, by job; across restarts: `<stateDir>/schedule.json`. */
export type Remembered = Readonly<Partial<Record<JobName, JobState>>>;

const pathIn = (stateDir: string): string => join(stateDir, 'schedule.json');

export const readSchedule = async (stateDir: string, files: Pick<Files, 'readJson'>): Promise<Remembered> =>
  (await files.readJson(pathIn(stateDir), (value) => v.parse(schema, value).jobs)) ?? {};

export const writeSchedule = (stateDir: string, jobs: Remembered, files: Pick<Files, 'write'>): Promise<void> =>
  files.write(pathIn(stateDir), `${JSON.stringify({ schema: 'dbkit.schedule/v1', jobs }, null, 2)}\n`, { mode: 0o644 });
