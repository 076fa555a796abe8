import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { StatusBoard, SupervisorStatus } from '../core/app.ts';
import type { Files, RecoveryReport } from '../core/contracts.ts';

const text = v.string();
const finding = v.looseObject({ code: text, path: text, evidence: text, severity: text });
const recovery = v.looseObject({
  at: text,
  findings: v.array(finding),
  decision: text,
  because: text,
  steps: v.array(v.looseObject({ step: text, because: text, done: v.boolean() })),
  quarantine: v.nullable(text),
  lost: text,
  durationMs: v.number(),
});
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
  lastRecovery: v.nullable(recovery),
});

/** What the supervisor publishes, for `status` and for people without rights: `status.json` and `ready`, both world-readable, and `recovery.json`. */
export function createStatusBoard(stateDir: string, files: Files): StatusBoard {
  const path = (name: string): string => join(stateDir, name);
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  let queue: Promise<unknown> = Promise.resolve();
  return {
    /** In order: a later state never loses to an earlier one that is still being written. */
    publish(status) {
      const turn = queue.then(() => files.publish(path('status.json'), json(status)));
      queue = turn.catch(() => undefined);
      return turn;
    },
    read: async () => (await files.readJson(path('status.json'), (value) => v.parse(supervisor, value))) as SupervisorStatus | undefined,
    setReady: async (ready) => (ready ? files.publish(path('ready'), '') : rm(path('ready'), { force: true })),
    recordRecovery: (report) => files.write(path('recovery.json'), json(report)),
    lastRecovery: async () =>
      (await files.readJson(path('recovery.json'), (value) => v.parse(recovery, value))) as RecoveryReport | undefined,
  };
}
