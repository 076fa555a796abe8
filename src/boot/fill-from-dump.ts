import type { Backups, Dumps, FoundBackup } from '../backups/backup.ts';
import type { LoadReport } from '../backups/load-dump.ts';
import { sqlStateOf } from '../instance/connection.ts';
import { awaitedDump, markLoaded, replacedBefore } from '../instance/initialize/marker.ts';
import { connectSuperuser, type Local } from '../instance/local.ts';
import { holdsNothing } from '../instance/places.ts';
import { troubleOf } from '../instance/session-trouble.ts';
import { DbkitError, type FailureCode, toFailure, wordsOf } from '../kernel/errors.ts';
import { incident } from '../recovery/incidents.ts';
import { type Loss, told } from '../recovery/losses.ts';
import type { RecoveryReport } from '../recovery/report.ts';

/** Sessions of dbkit's own are in it, so it cannot be replaced: what a dump holds of it goes beside it. */
const MAINTENANCE = 'postgres';
const BESIDE_MAINTENANCE = 'postgres_restored';

interface Filling {
  readonly backups: readonly Backups[];
  /** Where the server listens for dbkit alone. */
  readonly socketDir: string;
}

/**
 * Loads every database of the dump that this new cluster was made for, before any client meets it. One that the dump does not give is told, and keeps
 * nothing else down. Rejects where the machine is in the way (no space, no server, no programs, no repository): then no client meets an empty
 * database, and the next start loads all of them again, as after a kill. Undefined where no dump belongs into the cluster, or it is there already.
 */
export async function fillFromDump(
  local: Local,
  { backups, socketDir }: Filling,
  signal: AbortSignal,
): Promise<RecoveryReport | undefined> {
  const { volume, owner, backupDir, system } = local;
  const awaited = await awaitedDump(volume, system);
  if (awaited === undefined || awaited.isLoaded) return undefined;
  const begunMs = system.clock.monotonicMs();
  const oldBytes = await replacedBefore(volume, system);
  const found = await findDump(backups, awaited.label, signal);
  if (!found && (await holdsNothing(backupDir))) throw unmounted(awaited.label, backupDir);
  const losses: Loss[] = found
    ? [{ kind: 'since-backup', label: awaited.label, at: found.backup.dataAt ?? found.backup.createdAt, oldBytes }]
    : [{ kind: 'cluster', oldBytes }];
  if (found) losses.push(...(await elsewhere(found, oldBytes, signal)));
  if (!found) system.log.error('dump.gone', `${awaited.label} is gone: the new cluster stays empty`, { label: awaited.label });
  let loaded = 0;
  for (const database of found?.backup.databases ?? []) {
    try {
      const report = await found!.of.load(
        found!.backup,
        { database, into: database === MAINTENANCE ? BESIDE_MAINTENANCE : undefined, socketDir },
        signal,
      );
      const inTheWay = report.missing.find(({ because }) => NO_ROOM.test(because));
      if (inTheWay) throw noRoom(awaited.label, database, inTheWay.because);
      await dropEmpty(local, report, socketDir, signal);
      loaded += 1;
      if (report.short.length > 0) losses.push(lostRows(awaited.label, report, oldBytes));
      for (const { what, because } of report.missing)
        system.log.warn('dump.missing', `restored differently: ${what}: ${because}`, { label: awaited.label, database, what });
    } catch (cause) {
      signal.throwIfAborted();
      if (NO_ROOM.test(wordsOf(cause))) throw noRoom(awaited.label, database, wordsOf(cause));
      if (isInTheWay(cause)) throw cause;
      await (await connectSuperuser(local, MAINTENANCE, signal, socketDir)).end(); // A server that is gone says nothing of the dump either.
      losses.push(lostDatabase(awaited.label, database, wordsOf(cause), oldBytes));
      system.log.error(
        'dump.unloaded',
        `${database} of ${awaited.label} could not be loaded: ${wordsOf(cause)}; \`dbkit backup restore ${awaited.label} --database ${database}\` tries again${needsTrust(cause)}`,
        { label: awaited.label, database },
      );
    }
  }
  await markLoaded(volume, owner, system);
  return {
    at: system.clock.now().toISOString(),
    findings: [],
    decision: 'restore',
    ...incident('dump-loaded', { label: awaited.label, count: loaded }),
    steps: [{ step: `load ${awaited.label}`, ...incident('dump-loaded', { label: awaited.label, count: loaded }), done: loaded > 0 }],
    quarantine: oldBytes,
    ...told(losses),
    durationMs: Math.round(system.clock.monotonicMs() - begunMs),
  };
}

/** A dump of which nobody can tell any more that it was made here. */
const needsTrust = (cause: unknown): string =>
  cause instanceof DbkitError && cause.code === 'recovery.refused' ? ', and --trust answers for a dump that you know' : '';

/** The machine's words, in English: sessions that load have `lc_messages` so. */
const NO_ROOM = /No space left on device|Disk quota exceeded|out of memory/;

const noRoom = (label: string, database: string, why: string): DbkitError =>
  new DbkitError('volume.full', `${database} of ${label} could not be loaded: ${why}`, {
    hint: 'free some space on the data’s volume, or raise the quota; the next start loads it, and no client meets a half of it',
  });

/** Nothing at all is there: sooner a volume that is not mounted than a repository that somebody has emptied. */
const unmounted = (label: string, backupDir: string): DbkitError =>
  new DbkitError('backup.missing', `${label} belongs into the new cluster, and ${backupDir} is empty`, {
    hint: `mount the repository there, and start again; \`dbkit recover --strategy reinitialize\` goes on without it; what was replaced is kept`,
  });

/** Another time it may go. */
function isInTheWay(cause: unknown): boolean {
  const { code, retryable } = toFailure(cause);
  const sqlState = sqlStateOf(cause);
  if (sqlState !== undefined) return troubleOf({ sqlState, words: wordsOf(cause) }).passes === true;
  return retryable || ofTheMachine.has(code);
}

/** 'command.failed': of a command of the server's it has an SQLSTATE, else it is a disk that says no, as the last two are (inWords). */
const ofTheMachine: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'program.missing',
  'backup.missing',
  'command.failed',
  'data.owner',
  'data.foreign',
]);

/** Databases that this dump does not hold although the server had them, each with the newest dump that does. */
async function elsewhere({ backup, of }: FoundBackup<Dumps>, oldBytes: string | null, signal: AbortSignal): Promise<Loss[]> {
  const { isPartial = false, leftOut = [], databases: held = [] } = backup;
  if (!isPartial && leftOut.length === 0) return [];
  const others = (await of.repository.list(signal)).filter(
    (other) => other.kind === 'logical' && other.label !== backup.label && other.systemIdentifier === backup.systemIdentifier,
  );
  const holders = new Map<string, string>();
  for (const { label, databases = [], state } of others.sort((a, b) => a.label.localeCompare(b.label)))
    if (state !== 'damaged') for (const name of databases) if (!held.includes(name)) holders.set(name, label);
  const missing = new Map(isPartial ? [...holders.keys()].map((name) => [name, 'it was not to hold it']) : []);
  for (const { database, because } of leftOut) missing.set(database, because);
  return [...missing].map(([database, because]) => {
    const holder = holders.get(database);
    const way =
      holder === undefined
        ? 'no other dump does'
        : `\`dbkit backup restore ${holder} --database ${database}\` brings back what ${holder} holds`;
    return {
      kind: 'database',
      database,
      path: `${backup.label}/${database}`,
      evidence: `${backup.label} does not hold it: ${because}; ${way}`,
      relation: null,
      oldBytes,
    };
  });
}

async function findDump(backups: readonly Backups[], label: string, signal: AbortSignal): Promise<FoundBackup<Dumps> | undefined> {
  for (const of of backups) {
    if (of.kind !== 'logical') continue;
    const backup = (await of.repository.list(signal)).find((one) => one.label === label);
    if (backup) return { backup, of };
  }
  return undefined;
}

/** The database whose place it took was made a moment ago, and held nothing, or the same from a run that was killed. */
async function dropEmpty(local: Local, { replaced }: LoadReport, socketDir: string, signal: AbortSignal): Promise<void> {
  if (replaced === null) return;
  const session = await connectSuperuser(local, MAINTENANCE, signal, socketDir);
  try {
    await session.query(`DROP DATABASE IF EXISTS ${session.escapeIdentifier(replaced)}`);
  } finally {
    await session.end();
  }
}

const lostDatabase = (label: string, database: string, why: string, oldBytes: string | null): Loss => ({
  kind: 'database',
  database,
  path: `${label}/${database}`,
  evidence: `it could not be loaded from ${label}: ${why}`,
  relation: null,
  oldBytes,
});

const SHOWN = 5;

/** Of the database that came beside: what could be had of it is there. */
const lostRows = (label: string, { database, into, short }: LoadReport, oldBytes: string | null): Loss => ({
  kind: 'database',
  database,
  path: `${label}/${database}`,
  evidence: `in ${into} not all of its rows came back: ${short.slice(0, SHOWN).join(', ')}`,
  relation: null,
  oldBytes,
});
