import type { DrillCheck } from '../backups/drill.ts';
import { detailOf, sqlStateOf } from '../instance/connection.ts';
import { checkDatabases, type Silence } from '../instance/server/databases.ts';
import { troubleOf } from '../instance/session-trouble.ts';
import { DbkitError, isAbort, wordsOf } from '../kernel/errors.ts';
import type { Clock } from '../kernel/machine.ts';
import type { Scratch } from './scratch.ts';

const SHOWN = 5;

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
  if (cause instanceof DbkitError && cause.code === 'data.corrupt') return true;
  const sqlState = sqlStateOf(cause);
  return sqlState !== undefined && troubleOf({ sqlState, words: detailOf(cause) }).then === 'damage';
}

/** The first check of a restored copy. Resolves to how many databases there are. Those of which nothing is known fail it, and say nothing of the backup. */
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
      ...found.silent.map(wordsOfSilence),
      ...found.lost.map(({ database, relation }) => `the file of ${relation} in ${database} is missing`),
    ];
    if (wrong.length > 0) return wrong.slice(0, SHOWN).join('; ');
    if (found.unknown.length === 0) return null;
    throw new DbkitError('service.unready', found.unknown.slice(0, SHOWN).map(wordsOfSilence).join('; '));
  });
  return databases;
}

const wordsOfSilence = ({ database, words }: Silence): string => `${database}: ${words.split('\n')[0]}`;
