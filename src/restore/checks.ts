import type { DrillCheck } from '../backups/drill.ts';
import { sqlStateOf } from '../instance/connection.ts';
import { checkDatabases } from '../instance/server/databases.ts';
import { troubleOf } from '../instance/session-trouble.ts';
import { DbkitError, isAbort, wordsOf } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import type { Scratch } from './scratch.ts';

/** Everything that was tried, in its order. */
export interface Checks {
  readonly done: readonly DrillCheck[];
  /**
   * Null: passed; a text: why not. A failure of the work itself is a failed check; it speaks of the backup where it is evidence of damage, and not where
   * the machine or the server was in the way. `isOfBackup: false`: the check never does.
   */
  add(
    name: string,
    work: () => Promise<string | null | { readonly skipped: string }>,
    about?: { readonly isOfBackup: boolean },
  ): Promise<void>;
}

export function createChecks(clock: Pick<Clock, 'monotonicMs'>): Checks {
  const done: DrillCheck[] = [];
  return {
    done,
    async add(name, work, { isOfBackup } = { isOfBackup: true }) {
      const fromMs = clock.monotonicMs();
      let isEvidence = true;
      const result = await work().catch((cause: unknown) => {
        if (isAbort(cause)) throw cause;
        isEvidence = isDamage(cause);
        return wordsOf(cause);
      });
      const skipped = result !== null && typeof result === 'object';
      const outcome = result === null ? 'passed' : skipped ? 'skipped' : 'failed';
      done.push({
        name,
        outcome,
        because: skipped ? result.skipped : result,
        isOfBackup: isOfBackup && isEvidence,
        durationMs: Math.round(clock.monotonicMs() - fromMs),
      });
    },
  };
}

/** Only positive evidence speaks against a backup: bytes that are wrong, or what PostgreSQL calls damage in an open session. */
function isDamage(cause: unknown): boolean {
  if (cause instanceof DbkitError) return cause.code === 'data.corrupt';
  const sqlState = sqlStateOf(cause);
  return sqlState !== undefined && troubleOf({ sqlState, words: wordsOf(cause) }).then === 'damage';
}

/** The first check of a restored copy. Resolves to how many databases there are. */
export async function askEveryDatabase(
  checks: Checks,
  { local, socketDir }: Pick<Scratch, 'local' | 'socketDir'>,
  signal: AbortSignal,
): Promise<number> {
  let databases = 0;
  await checks.add('databases answer', async () => {
    const found = await checkDatabases(local, { socketDir }, signal);
    databases = found.databases;
    const wrong = [
      ...[...found.silent, ...found.unknown].map(({ database, words }) => `${database}: ${words.split('\n')[0]}`),
      ...found.lost.map(({ database, relation }) => `the file of ${relation} in ${database} is missing`),
    ];
    return wrong.length === 0 ? null : wrong.slice(0, 5).join('; ');
  });
  return databases;
}
