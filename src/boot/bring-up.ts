import { findBaseline } from '../backups/find-baseline.ts';
import { type Finding, isOf } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import type { Local } from '../instance/local.ts';
import type { Launch } from '../instance/server/server.ts';
import { lastLines } from '../instance/server/server-log.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import type { RunningService } from '../kernel/running-service.ts';
import { ascend, isReplacing } from '../recovery/ascend.ts';
import { carryOut } from '../recovery/carry-out.ts';
import { rebuiltReport, reportOf, servedReport } from '../recovery/describe.ts';
import { findingKey, type Plan } from '../recovery/plan.ts';
import { ofReplaced } from '../recovery/remember.ts';
import { replacesUnasked, rereadEvidence } from '../recovery/reread.ts';
import { rememberStop } from './after-stop.ts';
import type { Handles, Hold, PostgresqlOptions } from './hold.ts';
import { type Judgement, planInput } from './judge.ts';
import { judgeRecovery, type Recovered } from './judge-recovery.ts';
import { proveBeside } from './prove-beside.ts';
import { type Course, down, isGood, oneRound, type Round } from './round.ts';
import { settle } from './settle.ts';
import { rememberUnproven, settleDamage } from './settle-damage.ts';
import { askSilentDatabases } from './silent-databases.ts';
import { emptiedReport, leftReport, tellKilled, unaskedIn, whyUnasked } from './why-unasked.ts';

const ROUNDS_MAX = 8; // Each round mends something new or counts against the attempts: a limit for the day this is wrong.

/**
 * Starts the server and proves that it answers: behind a closed door wherever the verdict could be that the data must be replaced (door.ts). What it
 * complains about is matched with the triage table: mended and started again, tried again where waiting helps, or refused in its own words. Rejects
 * with the last 20 lines of its log.
 */
export async function bringUp(
  hold: Hold,
  before: Inspection,
  options: PostgresqlOptions,
  handles: Handles,
  signal: AbortSignal,
): Promise<RunningService> {
  const recoveries: Recovered[] = [];
  let isHeard = false;
  const cameUp = (recovered: Recovered): void => {
    isHeard = true;
    recoveries.push(recovered);
  };
  const forget = (): void => {
    isHeard = false;
    recoveries.length = 0;
  };
  const { log } = hold.local.system;
  try {
    return await raise(hold, before, options, { ...handles, recoveries, cameUp, forget }, signal);
  } catch (cause) {
    // The next start sees where this one ended, and not how far it should have come.
    const unjudged = (why: unknown): boolean => {
      log.warn('recovery.unjudged', 'how far it had recovered is not known; the next start looks again', { why: wordsOf(why) });
      return false;
    };
    const isTold = await tellShortfall(hold.local, recoveries, handles).then(() => true, unjudged);
    // A stop that comes before `ready` is a clean one too: without its inventory the next start would know less than this one did.
    if (signal.aborted) await rememberStop(hold.local, unsettled(before), isHeard && isTold);
    throw cause;
  }
}

/** Findings from before the start that only a server that serves can settle: the next start must ask it again. */
const unsettled = ({ report }: Inspection): Finding[] =>
  report.findings.filter(({ code }) => isOf(code, 'relation', 'page', 'index', 'catalog', 'database'));

/**
 * The first of the servers that came up on these data and fell short of its WAL tells it: those after it did not recover, or from there on. Once: what a mark of the
 * new server says is no news of them.
 */
async function tellShortfall(local: Local, recoveries: Recovered[], { note }: Pick<Handles, 'note'>): Promise<void> {
  for (let [recovered] = recoveries; recovered; [recovered] = recoveries) {
    const short = await judgeRecovery(local, recovered);
    recoveries.splice(0, short ? recoveries.length : 1);
    if (short) note(short);
  }
}

interface Heard {
  /** How servers came up that nobody has judged yet. */
  readonly recoveries: Recovered[];
  cameUp(recovered: Recovered): void;
  /** Of data that was replaced. */
  forget(): void;
}

async function raise(
  hold: Hold,
  seen: Inspection,
  options: PostgresqlOptions,
  handles: Handles & Heard,
  signal: AbortSignal,
): Promise<RunningService> {
  const { local, lock } = hold;
  const { settings, system } = local;
  const { note, cameUp, forget } = handles;
  const [tried, unproven] = [new Set<string>(), new Set<string>()];
  let toLookAt: readonly string[] = [];
  let [before, wasClean] = [seen, seen.cleanShutdown];
  askAgain(local);
  let attempts = 0;
  let course: Course = { isJudged: false, isUnheard: false };
  for (let times = 0; times < ROUNDS_MAX; times += 1) {
    const begunMs = system.clock.monotonicMs();
    const round = await oneRound(hold, options, { before, tried, unproven, toLookAt, course, cameUp }, signal);
    const { launched, judgement, isEnsured, filled } = round;
    if (judgement.rebuilt.length > 0) note(rebuiltReport(local, judgement.rebuilt, begunMs));
    if (filled) note(filled);
    if (launched.kind === 'serving' && isGood(judgement))
      return accept(hold, handles, { ...round, launched }, { before, begunMs, options, wasClean, isFirst: times === 0 }, signal);
    await down(launched, system.clock);
    const verdict = await whyUnasked(hold, options, { judgement, tried, wasRestarted: toLookAt.length > 0 }, signal);
    toLookAt = verdict.toLookAt;
    if (verdict.isToGoOn) continue;
    const { complaints, plan } = verdict;
    const isUnproven = plan !== undefined && replacesUnasked(plan) && (await rereadEvidence(local, plan, signal)).length === 0;
    if (isUnproven) {
      logUnproven(system, plan);
      for (const finding of complaints) unproven.add(findingKey(finding));
      toLookAt = judgement.unasked;
    } else if (plan && plan.decision !== 'start') {
      const input = planInput(options, { inspection: plan.inspection, reported: complaints, tried, answering: false });
      const ended = await ascend(local, input, { lock, spoiled: hold.spoiled, first: plan }, signal);
      note(ended.report);
      if (isReplacing(ended.plan)) {
        [before, wasClean] = [ofReplaced(before), false];
        forget();
      }
      askAgain(local);
      for (const finding of complaints) tried.add(findingKey(finding));
      course = { isJudged: false, isUnheard: false };
      continue;
    }
    const isFirstSilence = isUnproven || (complaints.length === 0 && !course.isUnheard);
    course = { isJudged: isEnsured, isUnheard: isUnproven || complaints.length === 0 };
    if (isFirstSilence) continue; // Behind the door the server speaks English: it may be that nobody here understood it.
    attempts += 1;
    if (attempts >= settings.startAttempts) throw await gaveUp(launched, attempts);
    system.log.warn(
      'server.retry',
      `PostgreSQL did not start; trying again in ${settings.startRetrySeconds} s (${attempts + 1} of ${settings.startAttempts})`,
    );
    await system.clock.sleep(settings.startRetrySeconds * 1000, signal);
  }
  throw new DbkitError('service.failed', 'PostgreSQL does not start, and every remedy was tried', {
    hint: '`dbkit inspect --deep` shows what is damaged',
  });
}

/** Of a new start, or once something is mended. */
function askAgain({ unasked, hungUp }: Local): void {
  unasked?.clear();
  hungUp?.clear();
}

const logUnproven = ({ log }: System, { rung }: Plan): void =>
  log.error('recovery.unproven', 'what the server says is not seen in the files, so nothing is replaced', { why: rung.words });

interface Accepted {
  readonly before: Inspection;
  readonly begunMs: number;
  readonly options: PostgresqlOptions;
  /** The data are as a clean stop left them. */
  readonly wasClean: boolean;
  /** No server ran on them before this one since. */
  readonly isFirst: boolean;
}

/** A server with a good verdict: what is known of it is told, and it serves. */
async function accept(
  hold: Hold,
  handles: Handles & Heard,
  { launched, judgement, isEnsured }: Round & { readonly launched: Extract<Launch, { kind: 'serving' }> },
  { before, begunMs, options, wasClean, isFirst }: Accepted,
  signal: AbortSignal,
): Promise<RunningService> {
  const { local, lock } = hold;
  const { complaints, plan, rechecked, unknown } = judgement;
  const { note } = handles;
  await tellShortfall(local, handles.recoveries, handles);
  const left = unaskedIn(unknown);
  if (left.length > 0) note(leftReport(local, left));
  if (rechecked?.unknown) note(rechecked.unknown);
  if (plan) note(reportOf(local, plan, await carryOut(local, plan, lock, signal), begunMs));
  else if (complaints.length > 0) note(servedReport(local, complaints, begunMs));
  if (!plan) await rememberUnproven(local, before, complaints);
  await settleDamage(local, { before, complaints, rechecked, backups: options.backups }, signal);
  const running = await serve(hold, handles, launched, { before, complaints, unknown, isEnsured, options }, signal);
  const mayHaveCrashed = !isFirst || complaints.length > 0 || unknown.length > 0 || Boolean(local.hungUp?.size);
  const emptied = wasClean && mayHaveCrashed ? emptiedReport(local, before) : undefined;
  if (emptied) note(emptied);
  if (rechecked?.isCutShort)
    proveBeside(local, { findBaseline: findBaseline(options.backups), must: rechecked.must, note }, running.exited);
  return running;
}

interface Serving {
  readonly before: Inspection;
  readonly complaints: readonly Finding[];
  readonly unknown: Judgement['unknown'];
  readonly isEnsured: boolean;
  readonly options: PostgresqlOptions;
}

/** Settles it; databases of which nothing is known are asked again while it serves. */
async function serve(
  hold: Hold,
  handles: Handles,
  launched: Extract<Launch, { kind: 'serving' }>,
  { before, complaints, unknown, isEnsured, options }: Serving,
  signal: AbortSignal,
): Promise<RunningService> {
  const damage = [...complaints];
  const running = await settle(hold, handles, launched, { isEnsured, damage, options }, signal);
  if (unknown.length > 0) {
    const over = new AbortController();
    void running.exited.finally(() => over.abort());
    const begunMs = hold.local.system.clock.monotonicMs();
    const found = (findings: readonly Finding[]): void => {
      damage.push(...findings);
      handles.note(servedReport(hold.local, findings, begunMs));
    };
    void askSilentDatabases(
      hold.local,
      before,
      { unknown, found, killed: (names) => tellKilled(hold.local, names, handles.note) },
      over.signal,
    );
  }
  return running;
}

async function gaveUp(launched: Launch, attempts: number): Promise<DbkitError> {
  const lines = launched.kind === 'serving' ? await launched.lines() : launched.lines;
  const panics = launched.kind === 'stuck' ? launched.panics : undefined;
  const stuck = panics === undefined ? 'made no more progress while starting' : `gave up its recovery and began it again ${panics} times`;
  const how = launched.kind === 'stuck' ? stuck : 'did not start';
  return new DbkitError(
    'service.failed',
    `PostgreSQL ${how} (${attempts} ${attempts === 1 ? 'attempt' : 'attempts'})\n${lastLines(lines)}`.trimEnd(),
    {
      hint: 'the lines above are the server’s own; nothing was replaced',
    },
  );
}
