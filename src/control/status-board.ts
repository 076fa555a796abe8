import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Files } from '../kernel/machine.ts';
import { redact } from '../kernel/redact.ts';
import { recoveryReport } from '../recovery/history.ts';
import type { StatusBoard, SupervisorStatus } from './status.ts';

const text = v.string();
const supervisor = v.looseObject({
  schema: v.literal('dbkit.supervisor/v1'),
  pid: v.number(),
  mode: v.picklist(['entrypoint', 'up']),
  startedAt: text,
  readyAt: v.nullable(text),
  services: v.array(
    v.looseObject({
      name: text,
      state: text,
      pid: v.nullable(v.number()),
      since: text,
      restarts: v.number(),
      note: v.nullable(text),
      details: v.record(text, v.unknown()),
    }),
  ),
  lastRecovery: v.nullable(recoveryReport),
});

/** The status of the supervisor, for `status` and for people without rights: `status.json` and `ready`, both world-readable. */
export function createStatusBoard(stateDir: string, files: Files): StatusBoard {
  const path = (name: string): string => join(stateDir, name);
  const json = (value: unknown): string => redact(`${JSON.stringify(value, null, 2)}\n`);
  let queue: Promise<unknown> = Promise.resolve();
  return {
    /** In order: a later state never loses to an earlier one that is still being written. */
    publish(status) {
      const turn = queue.then(() => files.publish(path('status.json'), json(status)));
      queue = turn.catch(() => undefined);
      return turn;
    },
    /** Behind what this very process has published and not yet written: else a boot would find the state of the run before it. */
    async read() {
      await queue;
      return (await files.readJson(path('status.json'), (value) => v.parse(supervisor, value))) as SupervisorStatus | undefined;
    },
    setReady: async (ready) => (ready ? files.publish(path('ready'), '') : rm(path('ready'), { recursive: true, force: true })),
  };
}
