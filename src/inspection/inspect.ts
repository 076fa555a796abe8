import { statSync } from 'node:fs';
import type { ControlFile } from '../formats/control-file.ts';
import { formatLsn } from '../formats/wal-segment.ts';
import { configFileElsewhere } from '../instance/external-configuration.ts';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { ofDatabases } from './claimed-databases.ts';
import { inspectConfiguration } from './configuration.ts';
import { readDeep } from './deep.ts';
import {
  inspectDirectories,
  inspectForeignEntries,
  inspectKinds,
  inspectPermissions,
  inspectTablespaceFolder,
  inspectTablespaces,
  mayBeRead,
} from './directories.ts';
import type { Finding } from './findings.ts';
import { type BehindGap, inspectGaps, mayHaveGap, noGap, recovers } from './gaps.ts';
import { filesAt, readInventory } from './inventory.ts';
import { controlFinding, type Judged, judgeControl } from './judge-control.ts';
import { readKept } from './kept.ts';
import { notAccepted, remembered } from './known-damage.ts';
import type { KnownFile } from './known-file.ts';
import { followsAnother, inspectLeftovers, inspectVersionFiles } from './leftovers.ts';
import { inspectTouchedIndexes } from './misplaced-pages.ts';
import { inspectPrepared } from './prepared.ts';
import { inspectLostPrepared } from './prepared-after-crash.ts';
import type { FindBaseline } from './prove.ts';
import { isOfThisStop, onlyPagesTell, type Reached, type ReadReached } from './reached.ts';
import { databaseDirectories, inspectCatalogs } from './relations.ts';
import { inspectReplication } from './replication-origins.ts';
import type { InspectionReport } from './report.ts';
import { type Compared, compare, keptCopies, lossesOf, oddSizes, withEmptyFiles, withoutUnmounted } from './since-shutdown.ts';
import { inspectStandIns, once, withoutStandIns, withStandIns } from './stand-ins.ts';
import { emptyFindings, isDiskError, stateOf, versionFile } from './state.ts';
import { inspectStatus } from './status-bits.ts';
import { inspectTablespaceLinks } from './tablespace-links.ts';
import type { Unheard } from './touched.ts';
import { inspectTransactions } from './transactions.ts';
import { inspectWal } from './wal.ts';
import { emptyWalk, type Walk, walk } from './walk.ts';
import { ownerByWal } from './witnesses.ts';

/** The findings and the facts, for people and for the ladder. */
export interface Inspection {
  readonly report: InspectionReport;
  /** Undefined when pg_control is missing or damaged. */
  readonly control: ControlFile | undefined;
  /** pg_control says `shut down`, or the inventory proves it where pg_control is lost: no WAL is owed. */
  readonly cleanShutdown: boolean;
  /** False when permissions, or a pipe in a file's place, kept it from looking: then nothing else was judged. */
  readonly readable: boolean;
  /** A standby, or a recovery from an archive: what it lacks is elsewhere. */
  readonly follows: boolean;
  /** `path` itself, or every file below it, as the last clean shutdown left it; none when that cannot be proven current. */
  lastKnown(path: string): readonly KnownFile[];
  /** True if something was at `path`. */
  saw(path: string): boolean;
  /** How much it held; undefined where there was nothing. */
  sizeOf(path: string): number | undefined;
  /** Times say nothing, and there was more to read than a start can afford: pages are still to be proven. */
  readonly isUnproven: boolean;
  /** The reason why of some files nothing tells what they held, although the server was stopped cleanly. */
  readonly unheard: Unheard | undefined;
  /** WAL that crash recovery cannot get to; and that segments behind the end are cut or missing, so that the end itself may be. */
  readonly behindGap: BehindGap | undefined;
  readonly isTailTorn: boolean;
  /** A copy of `path` was kept, and the inventory proves that the server has not run since. */
  keptIsCurrent(path: string): boolean;
}

export interface InspectOptions {
  readonly stateDir: string;
  readonly deep: boolean;
  readonly readReached?: ReadReached | undefined; // How far the WAL had come when the server ran; undefined where nobody can tell.
  /** Asked only where pages are to be held against a backup. */
  readonly findBaseline?: FindBaseline | undefined;
  /** A server runs on it: what it has not written yet is no damage, and its WAL is not read. */
  readonly isServed?: boolean;
}

const LOOKS_MAX = 5; // Beside a server whole databases may be dropped between the walk and the reading of their files.

/**
 * Looks at a data directory without the server and without touching anything: milliseconds, plus what an lstat of each file costs. Rejects with
 * `volume.failing` when the disk does not answer, which must never look like lost files.
 */
export async function inspect(dataDir: string, options: InspectOptions, system: System, signal: AbortSignal): Promise<Inspection> {
  const look = (times: number): Promise<Inspection> =>
    inspectAnswering(dataDir, options, system, signal).catch((cause: unknown) => {
      if (times > 1 && options.isServed && errnoOf(cause) === 'ENOENT') return look(times - 1);
      throw cause;
    });
  return look(LOOKS_MAX).catch((cause: unknown) => {
    if (!isDiskError(cause)) throw cause;
    throw new DbkitError('volume.failing', `the disk or the mount under ${dataDir} does not answer: ${wordsOf(cause)}`, {
      hint: 'nothing was changed; look at `dmesg` and at the mount first',
      cause,
    });
  });
}

async function inspectAnswering(
  dataDir: string,
  { stateDir, deep, readReached, findBaseline, isServed = false }: InspectOptions,
  system: System,
  signal: AbortSignal,
): Promise<Inspection> {
  const begunMs = system.clock.monotonicMs();
  const state = await stateOf(dataDir);
  const seen = await entriesOf(state, dataDir, signal);
  const root = state === 'cluster' ? statSync(dataDir) : undefined; // PGDATA itself may be a link.
  const permissions = root
    ? [...inspectKinds(seen), ...inspectPermissions({ uid: root.uid, mode: root.mode & 0o7777 }, withStandIns(seen), system.self)]
    : await emptyFindings(state, dataDir, stateDir);
  const { isWhole, readable } = mayBeRead(permissions, system.rights.isRoot());
  const foreign = root ? inspectForeignEntries(root, seen) : [];
  const inventory = state === 'cluster' ? await readInventory(system, stateDir) : undefined;
  const reached = state === 'cluster' ? await readReached?.(stateDir, dataDir, undefined, signal) : undefined;
  const { control, doubts } = await judgeControl(dataDir, seen, state === 'cluster' && readable, { reached, inventory }, signal);
  const where = { dataDir, stateDir, control, findBaseline, log: system.log };
  const told = inventory && (await notAccepted({ dataDir, stateDir }, inventory.systemIdentifier, inventory.damage, system));
  const compared = inventory && isWhole ? await compare(seen, { ...inventory, damage: told ?? [] }, where, signal) : undefined;
  const notes = { compared, reached, stateDir, isServed };
  const looked = root && readable ? [...foreign, ...doubts, ...once(await look(dataDir, seen, control, notes, signal))] : [];
  const findings = [...permissions, ...looked];
  const known = state === 'cluster' && 'control' in control ? control.control : undefined;
  const follows = state === 'cluster' && readable && followsAnother(dataDir, seen, known);
  const gaps =
    known && readable && !isServed && mayHaveGap(known, follows, seen, findings)
      ? await inspectGaps(dataDir, seen, known, reached, signal)
      : noGap;
  findings.push(...gaps.findings);
  if (known) findings.push(...(await remembered({ dataDir, stateDir }, known.systemIdentifier, findings, system)));
  const pages = deep && known && isWhole ? await readDeep({ dataDir, seen, control: known, findBaseline }, findings, system, signal) : null;
  const kept = await keptCopies(stateDir, compared, inventory, findings);
  const shutDown = known?.state === 'shut down' || (known === undefined && compared?.proven === true);
  return {
    control: known,
    cleanShutdown: shutDown,
    readable,
    follows,
    behindGap: gaps.behind,
    isTailTorn: gaps.isTailTorn,
    saw: (path) => seen.entries.has(path),
    sizeOf: (path) => seen.entries.get(path)?.sizeBytes,
    unheard: compared?.unheard,
    isUnproven: compared?.isUnproven || (!compared?.proven && (await onlyPagesTell(reached, { ...where, control: known }, signal))),
    keptIsCurrent: (path) => kept.has(path),
    lastKnown: (path) => (compared?.proven ? filesAt(inventory!, path) : []),
    report: {
      dataDir,
      state,
      major: known?.major ?? versionFile(dataDir),
      systemIdentifier:
        known?.systemIdentifier ??
        (compared?.proven ? inventory!.systemIdentifier : null) ??
        (readable ? ownerByWal(dataDir, seen) : undefined) ??
        null,
      clusterState: known?.state ?? null,
      clean: shutDown && !findings.some(({ severity }) => severity !== 'info'),
      inventory: compared === undefined ? 'none' : !compared.proven ? 'void' : compared.differences.length === 0 ? 'match' : 'differs',
      checksums: known?.checksums ?? null,
      findings,
      files: seen.entries.size,
      sizeBytes: [...seen.entries.values()].reduce((sum, { kind, sizeBytes }) => sum + (kind === 'file' ? sizeBytes : 0), 0),
      deep: pages,
      durationMs: Math.round((system.clock.monotonicMs() - begunMs) * 10) / 10,
    },
  };
}

const entriesOf = async (state: InspectionReport['state'], dataDir: string, signal: AbortSignal): Promise<Walk> =>
  state === 'empty' || state === 'foreign'
    ? emptyWalk
    : { ...withoutStandIns(walk(dataDir, signal)), configFile: await configFileElsewhere(dataDir) };

/** Facts that were known of the directory before it was looked into. */
interface Notes {
  readonly compared: Compared | undefined;
  readonly reached: Reached | undefined;
  readonly stateDir: string;
  readonly isServed: boolean;
}

async function look(
  dataDir: string,
  seen: Walk,
  control: Judged,
  { compared, reached, stateDir, isServed }: Notes,
  signal: AbortSignal,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  if ('problem' in control) findings.push(controlFinding(control, seen));
  const known = 'control' in control ? control.control : undefined;
  const clean = known?.state === 'shut down';
  const severity = clean ? 'certain' : 'suspect';
  findings.push(...inspectDirectories(dataDir, seen, known?.major ?? versionFile(dataDir) ?? undefined));
  findings.push(
    ...inspectVersionFiles(
      dataDir,
      seen,
      databaseDirectories(seen).filter((home) => home.startsWith('base/')),
      known,
    ),
  );
  findings.push(
    ...inspectConfiguration(dataDir, seen, stateDir),
    ...inspectTablespaces(dataDir, seen, known),
    ...inspectReplication(dataDir, seen),
  );
  findings.push(...inspectTablespaceFolder(seen), ...inspectTablespaceLinks(dataDir, seen, known));
  findings.push(...inspectCatalogs(dataDir, seen, severity));
  if (known) {
    if (!clean && !known.state.startsWith('shut down'))
      findings.push({
        code: 'shutdown.unclean',
        path: 'global/pg_control',
        evidence: `the last state is '${known.state}'`,
        severity: 'info',
      });
    findings.push(
      ...inspectTransactions(seen, known, clean),
      ...inspectPrepared(dataDir, seen, isOfThisStop(reached, known) ? reached : undefined),
      ...(clean || isServed || recovers(seen) ? [] : await inspectLostPrepared(dataDir, seen, known, reached, signal)),
      ...(isServed ? [] : await inspectStandIns(dataDir, seen, known, signal)),
      ...oddSizes(seen, known, compared, isServed),
      ...(known.state === 'shut down' && !known.checksums && !isServed && !recovers(seen)
        ? inspectTouchedIndexes(dataDir, seen, known, signal)
        : []),
      ...inspectLeftovers(dataDir, seen, known),
    );
    if (!isServed && !recovers(seen) && !findings.some(({ code }) => code === 'slru.damaged' || code === 'directory.lost')) {
      const kept = await readKept(stateDir);
      const isMoment = clean && compared?.proven === true && kept?.checkpointLsn === formatLsn(known.checkpointLsn);
      findings.push(...(await inspectStatus(dataDir, seen, known, { stateDir, kept, isMoment }, signal)));
    }
    if (!findings.some(({ code }) => code === 'wal-link.dangling' || code === 'wal-directory.missing') && !seen.entries.has('backup_label'))
      findings.push(...(await inspectWal(dataDir, seen, known, followsAnother(dataDir, seen, known), signal)));
  }
  if (!compared?.proven) return findings;
  findings.push(...lossesOf(dataDir, compared.differences, seen, findings), ...compared.knownDamage, ...compared.touched);
  const behindLostLinks = findings.filter(({ code }) => code === 'tablespace.unlinked').map(({ path }) => `${path}/`);
  const seenWithLinks = findings.filter(({ path }) => !behindLostLinks.some((home) => path.startsWith(home)));
  const all = withoutUnmounted(withEmptyFiles(seenWithLinks, compared.differences));
  return clean && known ? ofDatabases(dataDir, known, compared, all) : all;
}
