import { findBaseline, sources } from '../backups/find-baseline.ts';
import type { Finding } from '../inspection/findings.ts';
import { type Inspection, inspect } from '../inspection/inspect.ts';
import { notAccepted } from '../inspection/known-damage.ts';
import { unaskedSince } from '../instance/local.ts';
import type { Silence } from '../instance/server/databases.ts';
import type { Launch } from '../instance/server/server.ts';
import { findingKey, makePlan, type Plan, type PlanInput } from '../recovery/plan.ts';
import { complaintsOf, type Examination, examine } from './complaints.ts';
import type { Hold, PostgresqlOptions } from './hold.ts';
import { type Rechecked, recheck } from './recheck.ts';
import { joinComplaints } from './settle-damage.ts';

/** The questions to one launch, and what is known from before. */
export interface Case {
  readonly launched: Launch;
  /** The inspection before the start. */
  readonly before: Inspection;
  /** Findings whose remedy was tried in this boot, by `findingKey`. */
  readonly tried: ReadonlySet<string>;
  /** Findings that the server named and that its files do not show, by `findingKey`: they are told, and nothing is replaced for them. */
  readonly unproven: ReadonlySet<string>;
  /** Databases that were not asked any more before, and whose files are still to be looked at. */
  readonly toLookAt: readonly string[];
  /** Where the server is asked, when its door is closed to clients. */
  readonly socketDir: string | undefined;
}

export interface Judgement {
  readonly complaints: readonly Finding[];
  /** Indexes of the user's that were rebuilt on the running server. */
  readonly rebuilt: readonly Finding[];
  /** Databases of which nothing is known. */
  readonly unknown: readonly Silence[];
  /** It went away while it was asked. */
  readonly isGone: boolean;
  /** Databases that are not asked any more, as a session of theirs did harm: the server stops, and their files are looked at. */
  readonly unasked: readonly string[];
  /** Undefined: nothing is complained about. */
  readonly plan: Plan | undefined;
  /** Undefined where nothing could be held against anything. */
  readonly rechecked: Rechecked | undefined;
}

/** Hears what the server says, or asks it, and plans. A server that goes away while it is asked is heard by its last words. */
export async function judge(
  hold: Hold,
  options: PostgresqlOptions,
  { launched, before, tried, unproven, toLookAt, socketDir }: Case,
  signal: AbortSignal,
): Promise<Judgement> {
  const unaskedNow = unaskedSince(hold.local);
  const examined = launched.kind === 'serving' ? await whileItServes(hold, options, launched, { before, socketDir }, signal) : undefined;
  const complaints = examined?.complaints ?? (await complaintsOf(hold.local, await lastWordsOf(launched)));
  const { rebuilt = [], unknown = [], answering = false, rechecked } = examined ?? {};
  const reported = complaints.filter((finding) => !unproven.has(findingKey(finding)));
  const unasked = [...new Set([...toLookAt, ...unaskedNow()])];
  const facts = { reported, tried, serving: examined !== undefined, answering };
  return {
    complaints,
    rebuilt,
    unknown,
    isGone: launched.kind === 'serving' && examined === undefined,
    unasked,
    rechecked,
    plan: reported.length > 0 ? await planFor(hold, options, facts, signal) : undefined,
  };
}

/** Undefined when the server ended meanwhile: then there is nobody to ask. */
async function whileItServes(
  { local }: Hold,
  { backups }: PostgresqlOptions,
  { child }: Extract<Launch, { kind: 'serving' }>,
  { before, socketDir }: Pick<Case, 'before' | 'socketDir'>,
  signal: AbortSignal,
): Promise<(Examination & { readonly rechecked: Rechecked | undefined }) | undefined> {
  const asking = new AbortController();
  const stop = (): void => asking.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  let isGone = false;
  void child.exited.then(() => {
    isGone = true;
    asking.abort();
  });
  try {
    signal.throwIfAborted();
    const unaskedNow = unaskedSince(local);
    const examined = await examine(local, before, { socketDir }, asking.signal);
    const isHarmful = unaskedNow().length > 0; // Everything is asked again, after a look at the files.
    const rechecked = isHarmful ? undefined : await recheck({ local, before, socketDir }, findBaseline(backups), asking.signal);
    return {
      ...examined,
      complaints: await notAccepted(
        { dataDir: local.volume.dataDir, stateDir: local.stateDir },
        before.report.systemIdentifier ?? '',
        joinComplaints(examined.complaints, rechecked, before),
        local.system,
      ),
      rebuilt: [...examined.rebuilt, ...(rechecked?.rebuilt ?? [])],
      rechecked,
    };
  } catch (cause) {
    signal.throwIfAborted();
    if (isGone) return undefined;
    throw cause;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function lastWordsOf(launched: Launch): Promise<Exclude<Launch, { kind: 'serving' }>> {
  if (launched.kind !== 'serving') return launched;
  return { kind: 'exited', exit: await launched.child.exited, lines: await launched.lines() };
}

/** Looks again and asks the ladder. What the inspection had found of a server that runs now was judged before its start. */
export async function planFor(
  { local, spoiled }: Hold,
  options: PostgresqlOptions,
  {
    reported,
    tried,
    serving,
    answering,
  }: { reported: readonly Finding[]; tried: ReadonlySet<string>; serving: boolean; answering: boolean },
  signal: AbortSignal,
): Promise<Plan> {
  const seen = await inspect(
    local.volume.dataDir,
    { stateDir: local.stateDir, deep: false, ...sources(options.backups, local) },
    local.system,
    signal,
  );
  const inspection = serving ? { ...seen, report: { ...seen.report, findings: [] } } : seen;
  return makePlan(local, { ...planInput(options, { inspection, reported, tried, answering }), spoiled }, signal);
}

/** A start leaves the choice to the ladder. */
export const planInput = (
  { config, backups }: PostgresqlOptions,
  what: Pick<PlanInput, 'inspection' | 'reported' | 'tried' | 'answering'>,
): PlanInput => ({ ...what, wish: undefined, recovery: config.recovery, backups });
