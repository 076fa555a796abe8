import type { ControlFile } from '../formats/control-file.ts';
import type { RelationName } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { inspectMisplacedPages } from '../inspection/misplaced-pages.ts';
import { readControl } from '../inspection/state.ts';
import { walk } from '../inspection/walk.ts';
import type { Local } from '../instance/local.ts';
import { incident } from '../recovery/incidents.ts';
import { told } from '../recovery/losses.ts';
import { findingKey } from '../recovery/plan.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { mayBeUnlogged, unloggedLosses } from '../recovery/unlogged.ts';
import type { Hold, PostgresqlOptions } from './hold.ts';
import { type Judgement, planFor } from './judge.ts';

interface Case {
  readonly judgement: Judgement;
  readonly before: Inspection;
  readonly tried: ReadonlySet<string>;
  note(report: RecoveryReport): void;
}

/**
 * The verdict on a server that is stopped by now: where sessions of it came to no end, with what its files say of that. `isToBeLeft`: they say nothing, or
 * nothing that was not tried, so those databases are not asked again. Killing a session made the server recover, which empties unlogged tables: told, where
 * it had been stopped cleanly.
 */
export async function whyEndless(
  hold: Hold,
  options: PostgresqlOptions,
  { judgement, before, tried, note }: Case,
  signal: AbortSignal,
): Promise<Pick<Judgement, 'complaints' | 'plan'> & { readonly isToBeLeft: boolean }> {
  const { local } = hold;
  const { complaints, plan, endless } = judgement;
  const emptied = endless.length > 0 && before.cleanShutdown ? mayBeUnlogged(local.volume.dataDir, signal) : [];
  if (emptied.length > 0) note(emptiedReport(local, emptied));
  if (endless.length === 0 || (plan !== undefined && plan.decision !== 'start')) return { complaints, plan, isToBeLeft: false };
  const control = controlOf(local);
  const found =
    control === undefined
      ? []
      : inspectMisplacedPages(local.volume.dataDir, walk(local.volume.dataDir, signal), control, numbersOf(judgement));
  const untried = found.filter((finding) => !tried.has(findingKey(finding)));
  if (untried.length === 0) {
    const why = control === undefined ? 'the server did not stop in order, so its files cannot be judged' : 'its files do not tell why';
    local.system.log.warn('database.left', `${endless.join(', ')}: ${why}; not asked again, the others are served`);
    return { complaints: [], plan: undefined, isToBeLeft: true };
  }
  const facts = { reported: untried, tried, serving: false, answering: false };
  return { complaints: untried, plan: await planFor(hold, options, facts, signal), isToBeLeft: false };
}

/** Undefined where the server was not shut down in order: its files may be of several moments then. */
function controlOf({ volume: { dataDir } }: Local): ControlFile | undefined {
  const read = readControl(dataDir);
  return 'control' in read && read.control.state === 'shut down' ? read.control : undefined;
}

/** Undefined: of one the number is not known, so every database is looked at. */
function numbersOf({ endless, unknown }: Judgement): ReadonlySet<string> | undefined {
  const numbers = endless.map((name) => unknown.find(({ database }) => database === name)?.path?.replace('base/', ''));
  return numbers.includes(undefined) ? undefined : new Set(numbers.flatMap((number) => number ?? []));
}

function emptiedReport({ system }: Local, tables: readonly RelationName[]): RecoveryReport {
  return {
    at: system.clock.now().toISOString(),
    findings: [],
    decision: 'start',
    ...incident('session-killed'),
    steps: [],
    quarantine: null,
    ...told(unloggedLosses(tables, null)),
    durationMs: 0,
  };
}
