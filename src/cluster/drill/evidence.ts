import { join } from 'node:path';
import * as v from 'valibot';
import type { Config } from '../../config/config.ts';
import type { Files } from '../../kernel/machine.ts';
import { namesIn } from '../../machine/is-there.ts';

const number = v.number();
const trial = v.object({
  schema: v.literal('dbkit.ha-trial/v1'),
  drill: v.string(),
  at: v.string(),
  passed: v.boolean(),
  patroniVersion: v.string(),
  ttlSeconds: number,
  synchronous: v.boolean(),
  /** false: Patroni alone, to compare with; null: nobody knows, on a real cluster that was asked from elsewhere. */
  guarded: v.optional(v.nullable(v.boolean()), true),
  /** true: on the real cluster. */
  here: v.optional(v.boolean(), false),
  rtoSeconds: v.record(v.string(), number),
  ackedRows: number,
  lostRows: number,
  errors: number,
  twoWritableSeconds: number,
  redundantSeconds: v.nullable(number),
  leaderBefore: v.string(),
  leaderAfter: v.nullable(v.string()),
  targets: v.object({ rtoSeconds: number, twoWritableSeconds: number, redundantSeconds: number, errors: v.nullable(number) }),
  misses: v.array(v.object({ id: v.string(), words: v.string() })),
});

/** One trial of a drill, as it is kept. Seconds; `at` is when the disaster began (RFC 3339). */
export type Trial = v.InferOutput<typeof trial>;

const folderOf = ({ stateDir }: Pick<Config, 'stateDir'>): string => join(stateDir, 'ha-trials');

/** A file of its own for each, that nothing of dbkit's removes. Resolves with its path. */
export async function keepTrial(config: Pick<Config, 'stateDir'>, { files }: { readonly files: Files }, one: Trial): Promise<string> {
  const folder = folderOf(config);
  await files.ownDirectory(folder, { mode: 0o755 });
  const path = join(folder, `${one.at.replace(/[-:.]/g, '')}-${one.drill}.json`);
  await files.write(path, `${JSON.stringify(one, null, 2)}\n`, { mode: 0o644 });
  return path;
}

/** The last trial of each drill that was not Patroni's alone, on a cluster of its own and on the real one. */
export async function lastTrials(needs: Parameters<typeof reportTrials>[0]): Promise<readonly Trial[]> {
  const { trials } = await reportTrials(needs, { since: undefined });
  const kept = trials.filter(({ here, guarded }) => here || guarded);
  return kept.filter((one, index) => kept.findIndex(({ drill, here }) => drill === one.drill && here === one.here) === index);
}

export interface TrialsReport {
  readonly trials: readonly Trial[];
  readonly passed: number;
  readonly failed: number;
}

/** Every trial that was kept, the newest first. */
export async function reportTrials(
  { config, files }: { readonly config: Pick<Config, 'stateDir'>; readonly files: Pick<Files, 'readJson'> },
  { since }: { readonly since: Date | undefined },
): Promise<TrialsReport> {
  const folder = folderOf(config);
  const names = (await namesIn(folder)).filter((name) => name.endsWith('.json'));
  const read = await Promise.all(names.map((name) => files.readJson(join(folder, name), (value) => v.parse(trial, value))));
  const trials = read
    .flatMap((one) => one ?? [])
    .filter(({ at }) => since === undefined || new Date(at) >= since)
    .sort((a, b) => b.at.localeCompare(a.at));
  const passed = trials.filter((one) => one.passed).length;
  return { trials, passed, failed: trials.length - passed };
}
