import { type Finding, outlivesPages, touchedFiles } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { readLastInventory } from '../inspection/inventory.ts';
import { type DamageMemory, damageMemory, type KnownDamage } from '../inspection/known-damage.ts';
import { unknownFindings } from '../inspection/proof-findings.ts';
import { isProofOwed, oweProof } from '../inspection/proof-owed.ts';
import type { FindBaseline, Suspicion } from '../inspection/prove.ts';
import { proveTwice } from '../inspection/prove-twice.ts';
import { readControl } from '../inspection/state.ts';
import { suspectsOf, toSuspectDamage } from '../inspection/suspects.ts';
import { walk } from '../inspection/walk.ts';
import type { Local } from '../instance/local.ts';
import { droppedRelations, ownersOfFiles } from '../instance/server/relation-of-file.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import type { RecoveryReport } from '../recovery/report.ts';
import { unprovenReport } from '../recovery/unknown-report.ts';
import { buildAnew } from './build-anew.ts';
import { describe, firstFile, rebuildIndexes, withOwners } from './owned-damage.ts';
import type { Way } from './rebuild-index.ts';
import { tellUnknown } from './unknown-pages.ts';

/** As much as a start reads before it is ready, beside what it must: half a second of an idle machine. The rest is read beside the running server. */
const BUDGET_BYTES = 128 * 1024 * 1024;
/** Beyond that also what it must read is left for later. */
const LIMIT_MS = 60_000;

export interface Rechecked {
  /** Damage that is there, with what it belongs to. */
  readonly damage: readonly KnownDamage[];
  /** Suspects that nobody had the time to prove: they stay suspects. */
  readonly waiting: readonly KnownDamage[];
  /** Indexes that were rebuilt. */
  readonly rebuilt: readonly Finding[];
  /** Pages of which nobody can tell if something was there. */
  readonly unknown: RecoveryReport | undefined;
  /** There is more to prove than a start can afford; `must`: the suspects, which are among that when even they took too long. */
  readonly isCutShort: boolean;
  /** Every page that a crash may have harmed was looked at. */
  readonly isProven: boolean;
  readonly must: ReadonlyMap<string, Suspicion>;
}

const nothing: Rechecked = {
  damage: [],
  waiting: [],
  rebuilt: [],
  unknown: undefined,
  isCutShort: false,
  isProven: false,
  must: new Map(),
};

/** Written down before the server is started: should that be cut off, the next start still knows. */
export async function rememberSuspects(local: Local, before: Inspection): Promise<void> {
  const { control, cleanShutdown, follows } = before;
  if (!control || follows) return;
  const { system, stateDir } = local;
  const last = cleanShutdown ? undefined : await readLastInventory(system, stateDir);
  const suspects = [...suspectsOf(before, last, [])].filter(([, { hasForeignZeroes = false }]) => hasForeignZeroes || !cleanShutdown);
  const since = system.clock.now().toISOString();
  if (suspects.length > 0)
    await memoryOf(local).remember(
      control.systemIdentifier,
      suspects.map(([path, suspicion]) => toSuspectDamage(path, suspicion, since)),
    );
}

export const memoryOf = ({ volume: { dataDir }, stateDir, system }: Local): DamageMemory => damageMemory({ dataDir, stateDir }, system);

/**
 * After crash recovery, and at every start while damage is known: the suspects are proven, and whatever else a start can afford. Damaged indexes
 * are rebuilt. After a clean shutdown with nothing known this costs the reading of one small file that is not there.
 */
export async function recheck(asked: Asked, findBaseline: FindBaseline, signal: AbortSignal): Promise<Rechecked | undefined> {
  try {
    return await prove(asked, findBaseline, signal);
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    return tellUnproven(asked, wordsOf(cause), signal); // What keeps dbkit from looking says nothing about the data.
  }
}

/** Of a start that owed no proof only what is known stays known. */
async function tellUnproven(asked: Asked, why: string, signal: AbortSignal): Promise<Rechecked | undefined> {
  const { local, before } = asked;
  const begunMs = local.system.clock.monotonicMs();
  const report = unprovenReport(local, why, begunMs);
  local.system.log.warn('pages.unproven', report.because);
  const touched = await tellTouched(asked, signal);
  const systemIdentifier = before.report.systemIdentifier ?? '';
  if (!(await owesProof(local, before, systemIdentifier))) return touched;
  await oweProof(local, systemIdentifier);
  const waiting = touched?.waiting ?? (await memoryOf(local).open(systemIdentifier));
  return { ...nothing, waiting, unknown: touched?.unknown ?? report };
}

/** After a crash, and where times or inventory do not tell what the files were; also where an earlier start owed it and did not come to its end. */
const owesProof = async ({ volume }: Local, { cleanShutdown, isUnproven }: Inspection, systemIdentifier: string): Promise<boolean> =>
  !cleanShutdown || isUnproven || (await isProofOwed(volume.dataDir, systemIdentifier));

/** Files that somebody wrote to, where no index is built: on a standby. Undefined where there are none, so that nothing that is known is taken back. */
async function tellTouched(asked: Asked, signal: AbortSignal): Promise<Rechecked | undefined> {
  const { before, local } = asked;
  const touched = touchedFiles(before.report.findings);
  if (touched.length === 0) return undefined;
  const known = await memoryOf(local).open(before.report.systemIdentifier ?? '');
  const unknown = await tellUnknown(asked, touched, local.system.clock.monotonicMs(), signal);
  return { ...nothing, unknown, waiting: known.filter(({ code }) => code !== 'relation.touched' || !before.follows) };
}

/** Which server is asked, and what was seen before it was started. */
interface Asked extends Way {
  readonly before: Inspection;
}

async function prove(asked: Asked, findBaseline: FindBaseline, signal: AbortSignal): Promise<Rechecked | undefined> {
  const { local, before } = asked;
  const { system, stateDir, volume } = local;
  const read = readControl(volume.dataDir);
  const begunMs = system.clock.monotonicMs();
  if (before.follows) return tellTouched(asked, signal);
  if (!('control' in read) || !before.readable || read.control.state !== 'in production') return undefined;
  const { control } = read;
  const known = await memoryOf(local).open(control.systemIdentifier);
  const isUnclean = !before.cleanShutdown;
  const must = suspectsOf(before, isUnclean ? await readLastInventory(system, stateDir) : undefined, known);
  const isAsked = before.report.findings.some(outlivesPages);
  const isWhole = await owesProof(local, before, control.systemIdentifier);
  if (!isWhole && known.length === 0 && must.size === 0 && !isAsked) return nothing;
  const request = {
    dataDir: volume.dataDir,
    control,
    baseline: await findBaseline(control.systemIdentifier, signal),
    seen: walk(volume.dataDir, signal),
    wanted: isWhole ? undefined : (path: string) => must.has(path),
    must,
    budgetBytes: BUDGET_BYTES,
    limitMs: LIMIT_MS,
    whole: false,
    isLive: true,
    log: system.log,
  };
  if (isWhole) await oweProof(local, control.systemIdentifier);
  const proof = await proveTwice(request, signal);
  const found = await rebuildIndexes(asked, await withOwners(asked, proof, signal), signal);
  const isDoubtful = new Set(proof.doubtful.map(({ path }) => path));
  const rest = known.filter(({ path }) => !isDoubtful.has(path));
  const anew = await buildAnew({ ...asked, known: rest }, signal);
  const [open, rebuilt] = [
    [...anew.open, ...found.open],
    [...anew.rebuilt, ...found.rebuilt],
  ];
  const still = await stillOpen(asked, known, open, signal);
  const waiting = [...anew.waiting, ...(proof.isLate ? known.filter(({ severity }) => severity === 'suspect') : [])];
  const unknown = await tellUnknown(asked, [...unknownFindings(proof), ...anew.unknown], begunMs, signal);
  return {
    damage: [...open, ...still],
    waiting,
    rebuilt,
    unknown,
    isCutShort: proof.isCutShort,
    isProven: isWhole && !proof.isCutShort,
    must: proof.isLate ? must : new Map(),
  };
}

/**
 * Damage that was known before and is not found now. Rows that are gone do not come back because other pages were written in their place: a table's
 * damage ends with the table, or with a person's word. A suspect that has been proven is none any more.
 */
async function stillOpen(
  way: Way,
  known: readonly KnownDamage[],
  found: readonly KnownDamage[],
  signal: AbortSignal,
): Promise<KnownDamage[]> {
  const isFound = new Set(found.map(({ path }) => path));
  const rest = known.filter(({ path, severity, code }) => severity === 'certain' && lasting.has(code) && !isFound.has(path));
  const nameless = rest.filter(({ oid }) => oid === undefined);
  const owners = await ownersOfFiles(
    way,
    nameless.map(({ path }) => firstFile(path)),
    signal,
  );
  const dropped = await droppedRelations(way, rest, signal);
  return rest
    .filter(({ path }) => !dropped.has(path))
    .map((entry) => {
      const owner = entry.oid === undefined ? owners.get(firstFile(entry.path)) : undefined;
      return owner ? describe(entry, owner) : entry;
    });
}

/** Other damage is found again as long as it is there: by the server itself, or by inspection. */
const lasting: ReadonlySet<Finding['code']> = new Set([
  'page.damaged',
  'page.lost',
  'relation.truncated',
  'relation.changed',
  'relation.missing',
]);
