import { type Backup, type Backups, type BaseBackups, type Dumps, type FoundBackup, isGood } from '../backups/backup.ts';
import type { Config } from '../config/config.ts';
import type { Finding } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { damageMemory } from '../inspection/known-damage.ts';
import type { Local } from '../instance/local.ts';
import { mayMendOwner } from '../instance/owner.ts';
import { replacementsSince } from '../instance/volume.ts';
import { newestFirst } from '../kernel/labels.ts';
import type { LedOn } from '../wal/lead-on.ts';
import { archivedWal } from './archived-wal.ts';
import { evidenceAmong } from './evidence.ts';
import { filesInBackup, isWholeFile } from './files-in-backup.ts';
import { climb, type Rung, type RungId } from './ladder.ts';
import type { Decision, Strategy } from './ladder-facts.ts';
import { accessOf, newestDamaged, newestDump } from './last-sources.ts';
import { createListing, type Listing } from './listing.ts';
import { type RemedyId, remedyFor } from './remedies.ts';
import type { Remedy } from './remedy.ts';
import { canReplayFromKept, isReplayed } from './replay-kept.ts';
import type { BackedUpFile } from './set-aside.ts';
import { isKnown } from './traces.ts';

/** One finding with what will be done about it. */
export interface PlannedStep {
  readonly finding: Finding;
  readonly remedy: Remedy & { readonly id: RemedyId };
}

/** The decision of the ladder, before anything is touched: what `recover --dry-run` prints. */
export interface Plan {
  readonly inspection: Inspection;
  readonly findings: readonly Finding[];
  readonly decision: Decision;
  /** The row of the ladder that decided. */
  readonly rung: Rung & { readonly id: RungId };
  readonly steps: readonly PlannedStep[];
  readonly backup: Source | undefined;
  /** The newest base backup, where every one is damaged: most of it may be restored. */
  readonly partial: Source | undefined;
  /** The dump that a new cluster is filled from, where there is no such backup. */
  readonly dump: FoundBackup<Dumps> | undefined;
  /** The wish of a person; undefined: the ladder decided alone. */
  readonly wish: Strategy | undefined;
  /** WAL of the archive that takes crash recovery further than pg_wal. */
  readonly ledOn: LedOn | undefined;
  /** By finding: the files of the backup that bring it back. */
  readonly backedUp: ReadonlyMap<string, readonly BackedUpFile[]>;
}

/** A backup that the restore rung would use. */
export interface Source extends FoundBackup<BaseBackups> {
  readonly rollsForward: boolean;
}

export interface PlanInput {
  readonly inspection: Inspection;
  /** The complaints of the server itself, on top of the inspection. */
  readonly reported: readonly Finding[];
  /** Findings whose repair was tried in this boot and did not help, by `findingKey`. */
  readonly tried: ReadonlySet<string>;
  /** Labels of backups that turned out to be damaged when they were restored; none by default. */
  readonly spoiled?: ReadonlySet<string> | undefined;
  /** The server runs, and every database has answered. */
  readonly answering: boolean;
  readonly wish: Strategy | undefined;
  readonly recovery: Config['recovery'];
  readonly backups: readonly Backups[];
}

export const findingKey = ({ code, path }: Finding): string => `${code} ${path}`;
const HOUR_MS = 3_600_000;

/** Joins the facts and asks the tables; reads, never writes. */
export async function makePlan(local: Local, input: PlanInput, signal: AbortSignal): Promise<Plan> {
  const { inspection } = input;
  const findings = merge(inspection.report.findings, input.reported);
  const said = new Set(input.reported.map(findingKey));
  const mayMend = await mayMendOwner(local.volume.dataDir, local.owner, local.system);
  const replaysFromKept = findings.some(isReplayed) && (await canReplayFromKept(local, inspection, signal));
  const { ledOn, isUnreadable } = await archivedWal(local, inspection, findings, signal);
  const judge = (backedUp: Plan['backedUp']): PlannedStep[] =>
    findings.map((finding) => {
      const remedy = remedyFor({
        finding,
        cleanShutdown: inspection.cleanShutdown,
        keptIsCurrent: inspection.keptIsCurrent(finding.path),
        replaysFromKept,
        backupIsCurrent: backedUp.has(findingKey(finding)),
        archiveLeadsOn: ledOn !== undefined,
        mayMendOwner: mayMend,
        tried: input.tried.has(findingKey(finding)),
        reported: said.has(findingKey(finding)),
        answering: input.answering,
      });
      return { finding, remedy };
    });
  const listing = createListing(local.system.log, signal);
  const backup = asksForBackup(input, judge(new Map())) ? await newestGood(local, input, listing, signal) : undefined;
  const isAlone = backup === undefined && asksForMore(input, judge(new Map()));
  const partial = isAlone ? await newestDamaged(local, input, listing) : undefined;
  const dump = isAlone ? await newestDump(local, input, listing) : undefined;
  if (input.wish === 'restore' && listing.trouble !== undefined) throw listing.trouble; // Of what may be there, not of what is left, a person spoke.
  const backedUp = await filesInBackup(backup, inspection, findings, signal);
  const steps = judge(backedUp);
  // What a restore has not mended in this boot no second one will.
  const undone = await undoneIn(local, inspection.report.systemIdentifier);
  const isWorthRestoring = ({ finding, remedy }: PlannedStep): boolean =>
    remedy.then === 'serve' && !input.tried.has(findingKey(finding)) && !undone.has(finding.path);
  const since = new Date(local.system.clock.now().getTime() - HOUR_MS);
  const rung = climb({
    state: inspection.report.state,
    answers: new Set(steps.map(({ remedy }) => remedy.then)),
    evident: evidenceAmong(asking(steps), () => true).length > 0,
    backup: backup?.backup.label,
    partial: partial?.backup.label,
    dump: dump?.backup.label,
    rollsForward: backup?.rollsForward === true && isGood(backup.backup) && steps.some(isWorthRestoring),
    follows: inspection.follows,
    onlyIndexes: steps.every(({ finding, remedy }) => remedy.then !== 'replace' || isIndex(finding)),
    replacements: await replacementsSince(local.volume, local.backupDir, since),
    maxReplacements: input.recovery.maxReplacementsPerHour,
    allow: input.recovery.allow,
    wish: input.wish,
    archiveUnreadable: isUnreadable && steps.some(({ remedy: { loses } }) => loses === 'wal-behind-a-gap'),
    known: inspection.report.state === 'empty' && (await isKnown(local, input.backups, signal)),
    ...(await accessOf(local, {
      state: inspection.report.state,
      source: backup,
      replaces: steps.some(({ remedy }) => remedy.then === 'replace'),
      listing,
    })),
  });
  return { inspection, findings, decision: rung.then, rung, steps, backup, partial, dump, ledOn, backedUp, wish: input.wish };
}

/** Files that a person has brought back as damaged as they were. */
async function undoneIn({ volume: { dataDir }, stateDir, system }: Local, systemIdentifier: string | null): Promise<ReadonlySet<string>> {
  const known = systemIdentifier === null ? [] : await damageMemory({ dataDir, stateDir }, system).open(systemIdentifier);
  return new Set(known.filter(({ undoneAt }) => undoneAt !== undefined).map(({ path }) => path));
}

/** The findings that ask for other bytes, now or where a backup has them. */
const asking = (steps: readonly PlannedStep[]): Finding[] =>
  steps.filter(({ remedy }) => remedy.then === 'serve' || remedy.then === 'replace').map(({ finding }) => finding);

/** A backup is looked for where it could decide something: reading the WAL since then can take longer than a plain start. */
const asksForBackup = ({ inspection, wish }: PlanInput, alone: readonly PlannedStep[]): boolean =>
  inspection.report.state !== 'cluster' ||
  wish !== undefined ||
  alone.some(({ finding, remedy }) => remedy.then === 'serve' || remedy.then === 'replace' || isWholeFile(finding));

/** A dump, or a damaged backup, is looked for where everything has to be replaced. */
const asksForMore = ({ inspection }: PlanInput, alone: readonly PlannedStep[]): boolean =>
  inspection.report.state !== 'cluster' || alone.some(({ remedy }) => remedy.then === 'replace');

const isIndex = ({ code }: Finding): boolean => code === 'catalog-index.damaged' || code === 'index.damaged';

/** The inspection's own words win over what the server said of the same file. */
function merge(seen: readonly Finding[], reported: readonly Finding[]): Finding[] {
  const known = new Set(seen.map(findingKey));
  return [...seen, ...reported.filter((finding) => !known.has(findingKey(finding)))];
}

/**
 * The newest backup that is good and of this instance's major (and of this very cluster, where its identifier is known); one that the data
 * descends from, before one of a timeline that a restore has left.
 */
async function newestGood(
  local: Local,
  { backups: kinds, inspection, spoiled }: PlanInput,
  listing: Listing,
  signal: AbortSignal,
): Promise<Source | undefined> {
  const { major, systemIdentifier } = inspection.report;
  const wanted = major ?? local.binaries.major;
  for (const of of kinds) {
    if (of.kind !== 'physical') continue;
    const candidates = (await listing.of(of))
      .filter(({ label, state, pgVersion }) => state !== 'damaged' && !spoiled?.has(label) && pgVersion === wanted)
      .filter((backup) => systemIdentifier === null || backup.systemIdentifier === systemIdentifier)
      .sort(newestFirst);
    const { dataDir } = local.volume;
    const asSource = async (backup: Backup): Promise<Source> => ({
      backup,
      of,
      rollsForward: await of.rollsForward(backup, dataDir, signal),
    });
    const good = (await firstOwn(candidates, of, dataDir, signal)) ?? candidates[0];
    if (good === undefined) continue;
    if (isGood(good)) return asSource(good);
    // Taken of data that was known to be damaged: an older one that was not, with all WAL since, has more.
    const whole = await firstOwn(candidates.filter(isGood), of, dataDir, signal);
    const source = whole && (await asSource(whole));
    return source?.rollsForward ? source : asSource(good);
  }
  return undefined;
}

async function firstOwn(
  newestFirst: readonly Backup[],
  of: BaseBackups,
  dataDir: string,
  signal: AbortSignal,
): Promise<Backup | undefined> {
  for (const backup of newestFirst) if (await of.descends(backup, dataDir, signal)) return backup;
  return undefined;
}
