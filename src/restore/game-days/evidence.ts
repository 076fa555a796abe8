import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { drillKinds } from '../../config/schedules.ts';
import type { System } from '../../kernel/machine.ts';
import { redact } from '../../kernel/redact.ts';
import type { GameDay } from './contract.ts';

const text = v.string();
const judged = v.looseObject({ seconds: v.nullable(v.number()), targetSeconds: v.nullable(v.number()), met: v.nullable(v.boolean()) });
const schema = v.looseObject({
  schema: v.literal('dbkit.drilled/v1'),
  kind: v.picklist(drillKinds),
  at: v.pipe(text, v.isoTimestamp()),
  ok: v.boolean(),
  label: text,
  source: text,
  tier: v.nullable(v.picklist(['critical', 'high', 'standard', 'archive'])),
  rto: judged,
  rpo: judged,
  lostTransactions: v.nullable(v.number()),
  rows: v.looseObject({ tables: v.number(), rows: v.number() }),
  checks: v.array(
    v.looseObject({
      name: text,
      outcome: v.picklist(['passed', 'failed', 'skipped']),
      because: v.nullable(text),
      isOfBackup: v.optional(v.boolean(), true),
      durationMs: v.number(),
    }),
  ),
  durationMs: v.number(),
});

const KEPT = 100;

/** One file for each rehearsal, so that it can be shown to whoever asks: `<stateDir>/drills/2026-11-21T07-45-00.123Z-total-loss.json`. */
export function openEvidence(stateDir: string, { files }: Pick<System, 'files'>) {
  const directory = join(stateDir, 'drills');
  const newestFirst = async (): Promise<string[]> =>
    (await readdir(directory).catch(() => [] as string[]))
      .filter((name) => name.endsWith('.json'))
      .sort()
      .reverse()
      .map((name) => join(directory, name));
  return {
    async keep(day: GameDay): Promise<void> {
      const owner = await stat(stateDir).catch(() => undefined); // Root may rehearse what another user shows.
      await files.makeDirectory(directory, { mode: 0o755, owner });
      const path = join(directory, `${day.at.replaceAll(':', '-')}-${day.kind}.json`);
      await files.write(path, redact(`${JSON.stringify({ schema: 'dbkit.drilled/v1', ...day }, null, 2)}\n`), { owner });
      for (const old of (await newestFirst()).slice(KEPT)) await rm(old, { force: true });
    },
    async all(): Promise<readonly GameDay[]> {
      const read = await Promise.all((await newestFirst()).map((path) => files.readJson(path, (value) => v.parse(schema, value))));
      return read.filter((day) => day !== undefined).map(({ schema: _schema, ...day }) => day as GameDay);
    },
  };
}
