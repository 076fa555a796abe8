import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { errnoOf } from '../kernel/errors.ts';
import type { Files, Locks } from '../kernel/machine.ts';
import { redact } from '../kernel/redact.ts';
import type { MonitorEvent, MonitorMemory, MonitorState } from './decide.ts';
import { type Sample, withSample } from './measurements.ts';

const time = v.nullable(v.pipe(v.string(), v.isoTimestamp()));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const memory = v.object({
  schema: v.literal('dbkit.monitor/v1'),
  state: v.object({
    failures: count,
    recoveries: count,
    lastRecoveryAt: time,
    wellSince: time,
    pausedUntil: time,
    pausedSince: v.optional(time),
    pausedBy: v.optional(v.nullable(v.picklist(['down', 'person']))),
    gaveUp: v.boolean(),
  }),
  checkedAt: v.string(),
  events: v.array(v.object({ at: v.string(), what: v.string() })),
});

const figure = v.nullable(v.number());
const samplesFile = v.object({
  schema: v.literal('dbkit.monitor-samples/v1'),
  samples: v.array(
    v.object({
      at: v.pipe(v.string(), v.isoTimestamp()),
      status: v.string(),
      latencySeconds: figure,
      diskPercent: figure,
      connections: v.optional(figure, null), // Files of earlier versions have none.
    }),
  ),
});

type Remembered = Parameters<MonitorMemory['write']>[0];
const isFull = new Set(['ENOSPC', 'EDQUOT', 'EROFS']);

/** `<stateDir>/monitor.json`: what a monitor knew when it was last heard of; a broken one is set aside, and it begins anew. */
export function createMonitorMemory(stateDir: string, { files, locks }: { files: Files; locks: Locks }): MonitorMemory {
  const path = join(stateDir, 'monitor.json');
  const course = join(stateDir, 'monitor-samples.json');
  const samples = async (): Promise<readonly Sample[]> =>
    ((await files.readJson(course, (value) => v.parse(samplesFile, value)))?.samples ?? []) as Sample[];
  /** The body that could not be written, and the file that it should have replaced: valid for as long as that one is the same. */
  let unwritten: { readonly remembered: Remembered; readonly instead: number } | undefined;
  const fileTime = (): Promise<number> =>
    stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  return {
    samples,
    async sample(next) {
      const known = await samples();
      const now = withSample(known, next);
      if (now === known) return;
      await files.publish(course, `${JSON.stringify({ schema: 'dbkit.monitor-samples/v1', samples: now })}\n`);
    },
    async read() {
      if (unwritten !== undefined && unwritten.instead === (await fileTime())) return unwritten.remembered;
      const known = await files.readJson(path, (value) => v.parse(memory, value));
      return known && { state: known.state as MonitorState, checkedAt: known.checkedAt, events: known.events as MonitorEvent[] };
    },
    async write(remembered) {
      const owner = await stat(stateDir); // A timer's check may run as another user than the recovery after it.
      await files.write(path, redact(`${JSON.stringify({ schema: 'dbkit.monitor/v1', ...remembered })}\n`), { owner });
    },
    async writeOrHold(remembered) {
      try {
        await this.write(remembered);
        unwritten = undefined;
        return true;
      } catch (cause) {
        if (!isFull.has(errnoOf(cause) ?? '')) throw cause;
        unwritten = { remembered, instead: await fileTime() };
        return false;
      }
    },
    async alone(work) {
      await files.ownDirectory(stateDir, { mode: 0o755 });
      const lock = await locks.acquire(join(stateDir, 'monitor.lock'), 'a monitor', await stat(stateDir));
      try {
        return await work();
      } finally {
        await lock.release();
      }
    },
  };
}
