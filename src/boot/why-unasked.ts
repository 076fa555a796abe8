import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlFile } from '../formats/control-file.ts';
import type { RelationName } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { inspectMisplacedPages } from '../inspection/misplaced-pages.ts';
import { readControl } from '../inspection/state.ts';
import { walk } from '../inspection/walk.ts';
import type { Local } from '../instance/local.ts';
import type { Silence } from '../instance/server/databases.ts';
import { wordsOf } from '../kernel/errors.ts';
import { incident } from '../recovery/incidents.ts';
import { told } from '../recovery/losses.ts';
import { findingKey } from '../recovery/plan.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { unloggedLosses, unloggedTables } from '../recovery/unlogged.ts';
import type { Hold, PostgresqlOptions } from './hold.ts';
import { type Judgement, planFor } from './judge.ts';

interface Case {
  readonly judgement: Judgement;
  readonly tried: ReadonlySet<string>;
  /** The server was started once more already to be shut down in order. */
  readonly wasRestarted: boolean;
}

interface Verdict extends Pick<Judgement, 'complaints' | 'plan'> {
  /** Databases whose files could not be judged yet. */
  readonly toLookAt: readonly string[];
  /** Nothing is to be mended: it is started again, and those databases are not asked. */
  readonly isToGoOn: boolean;
}

/** The verdict on a server that is stopped by now: where sessions of it did harm, with what its files say of that. */
export async function whyUnasked(
  hold: Hold,
  options: PostgresqlOptions,
  { judgement, tried, wasRestarted }: Case,
  signal: AbortSignal,
): Promise<Verdict> {
  const { local } = hold;
  const { complaints, plan, unasked } = judgement;
  const asItIs = { complaints, plan, toLookAt: [], isToGoOn: false };
  if (unasked.length === 0 || (plan !== undefined && plan.decision !== 'start')) return asItIs;
  const { volume, system } = local;
  const goOn = { ...asItIs, plan: undefined, isToGoOn: true };
  const control = controlOf(local);
  if (control === undefined && !wasRestarted) return { ...goOn, toLookAt: unasked };
  const found = control ? inspectMisplacedPages(volume.dataDir, walk(volume.dataDir, signal), control, numbersOf(judgement), signal) : [];
  const untried = found.filter((finding) => !tried.has(findingKey(finding)));
  if (untried.length === 0) {
    const why = control === undefined ? 'the server does not stop in order, so its files cannot be judged' : 'its files do not tell why';
    system.log.warn('database.left', `${unasked.join(', ')}: ${why}; it is not asked again, and the others are served`);
    return goOn;
  }
  const facts = { reported: untried, tried, serving: false, answering: false };
  return { ...asItIs, complaints: untried, plan: await planFor(hold, options, facts, signal) };
}

/** Undefined where the server was not shut down in order: its files may be of several moments then. */
function controlOf({ volume: { dataDir } }: Local): ControlFile | undefined {
  const read = readControl(dataDir);
  return 'control' in read && read.control.state === 'shut down' ? read.control : undefined;
}

/** Undefined: of one the number is not known, so every database is looked at. */
function numbersOf({ unasked, unknown }: Judgement): ReadonlySet<string> | undefined {
  const numbers = unasked.map((name) => unknown.find(({ database }) => database === name)?.path?.replace('base/', ''));
  return numbers.includes(undefined) ? undefined : new Set(numbers.flatMap((number) => number ?? []));
}

/** Names of those that are not asked any more. */
export const unaskedIn = (unknown: readonly Silence[]): string[] => unknown.flatMap(({ database, harm }) => (harm ? [database] : []));

/**
 * A server that recovers while it runs, as after a session of it was killed, or had crashed it, empties unlogged tables: those of them that held rows when it had been
 * stopped cleanly, and hold none now. Undefined: there are none, or nobody can look.
 */
export function emptiedReport(local: Local, before: Pick<Inspection, 'sizeOf'>): RecoveryReport | undefined {
  const isEmptied = (file: string): boolean => (before.sizeOf(file) ?? 0) > 0 && sizeNow(local, file) === 0;
  try {
    const tables = unloggedTables(local.volume.dataDir, new AbortController().signal, isEmptied);
    return tables.length > 0 ? crashedReport(local, tables) : undefined;
  } catch (cause) {
    local.system.log.warn('unlogged.unread', 'it is not known which unlogged tables were emptied', { why: wordsOf(cause) });
    return undefined;
  }
}

function crashedReport(local: Local, tables: readonly RelationName[]): RecoveryReport {
  const why = incident('server-recovered');
  return { ...bareReport(local), ...why, steps: [{ step: 'recover', ...why, done: true }], ...told(unloggedLosses(tables, null)) };
}

/** Databases that are served although nothing is known of them. */
export function leftReport(local: Local, names: readonly string[]): RecoveryReport {
  const why = (databases: string) => incident('databases-left', { databases });
  const steps = names.map((name) => ({ step: `leave ${name}`, ...why(name), done: true }));
  const losses = [{ kind: 'unknown', reason: 'not-asked', oldBytes: null }] as const;
  return { ...bareReport(local), ...why(names.join(', ')), steps, ...told(losses) };
}

/** Beside a serving server, of which a session was killed, or hung up on. */
export function tellKilled(local: Local, names: readonly string[], note: (report: RecoveryReport) => void): void {
  const isEmpty = (file: string): boolean => sizeNow(local, file) === 0;
  const emptied = unloggedTables(local.volume.dataDir, new AbortController().signal, isEmpty);
  if (emptied.length > 0) note(crashedReport(local, emptied));
  if (names.length > 0) note(leftReport(local, names));
}

const sizeNow = ({ volume: { dataDir } }: Local, file: string): number | undefined =>
  statSync(join(dataDir, file), { throwIfNoEntry: false })?.size;

const bareReport = ({ system }: Local) =>
  ({ at: system.clock.now().toISOString(), findings: [], decision: 'start', quarantine: null, durationMs: 0 }) as const;
