import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { redact } from '../kernel/redact.ts';
import type { RecoveryHistory } from './history-contract.ts';
import { nothing } from './losses.ts';
import type { RecoveryReport } from './report.ts';

const text = v.string();
const finding = v.looseObject({ code: text, path: text, evidence: text, severity: text });
/** A report of an earlier version tells its loss in words only. */
const recordedLosses = v.union([
  v.pipe(
    v.literal('nothing'),
    v.transform(() => nothing),
  ),
  v.pipe(
    text,
    v.transform((words) => [{ kind: 'recorded', words }]),
  ),
]);

/** The shape on disk; what a later version adds is kept. */
export const recoveryReport = v.pipe(
  v.looseObject({
    at: text,
    findings: v.array(finding),
    decision: text,
    reason: v.optional(v.nullable(text)),
    because: text,
    steps: v.array(v.looseObject({ step: text, because: text, done: v.boolean() })),
    quarantine: v.nullable(text),
    losses: v.optional(v.array(v.looseObject({ kind: text }))),
    lost: text,
    durationMs: v.number(),
  }),
  v.transform((report) => ({ ...report, reason: report.reason ?? null, losses: report.losses ?? v.parse(recordedLosses, report.lost) })),
);

const KEPT = 100;

/** One file for each recovery, named after its moment, so that their names sort by time: `recoveries/2026-11-21T07-45-00.123Z.json`. */
export function createRecoveryHistory(stateDir: string, { files, log }: Pick<System, 'files' | 'log'>): RecoveryHistory {
  const directory = join(stateDir, 'recoveries');
  const pathOf = (at: string): string => join(directory, `${at.replaceAll(':', '-')}.json`);
  const read = async (path: string): Promise<RecoveryReport | undefined> =>
    (await files.readJson(path, (value) => v.parse(recoveryReport, value))) as RecoveryReport | undefined;
  const newestFirst = async (): Promise<string[]> =>
    (await readdir(directory).catch(() => [] as string[]))
      .filter((name) => name.endsWith('.json'))
      .sort()
      .reverse()
      .map((name) => join(directory, name));
  async function write(report: RecoveryReport): Promise<void> {
    const owner = await stat(stateDir).catch(() => undefined); // Root may recover what another user starts next.
    await files.makeDirectory(directory, { mode: 0o755, owner });
    const path = pathOf(report.at);
    const trigger = (await read(path))?.trigger ?? report.trigger;
    await files.write(path, redact(`${JSON.stringify({ ...report, ...(trigger ? { trigger } : {}) }, null, 2)}\n`), { owner });
    for (const old of (await newestFirst()).slice(KEPT)) await rm(old, { force: true });
  }
  return {
    record: (report) =>
      write(report).catch((cause: unknown) =>
        log.warn('recovery.unrecorded', `the report of this recovery cannot be kept: ${wordsOf(cause)}`, { directory }),
      ),
    async newest() {
      for (const path of await newestFirst()) {
        const report = await read(path); // One that is broken is set aside; the next one counts.
        if (report) return report;
      }
      return undefined;
    },
    all: async () => (await Promise.all((await newestFirst()).map(read))).filter((report) => report !== undefined),
  };
}
