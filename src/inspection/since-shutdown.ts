import { join } from 'node:path';
import { fromText } from '../formats/byte-path.ts';
import { type ControlFile, parseControlFile } from '../formats/control-file.ts';
import { readWal } from '../formats/wal-reader.ts';
import { formatLsn } from '../formats/wal-segment.ts';
import type { Finding } from './findings.ts';
import { compareInventory, type Difference, filesAt, type Inventory, isKept } from './inventory.ts';
import { keptBytes, readKept } from './kept.ts';
import { inspectSizes, isCatalogFile, meaningOfLoss } from './relations.ts';
import { settleTouched, type Touching, type Unheard } from './touched.ts';
import type { Walk } from './walk.ts';

/** The words of the inventory about the directory as it is now. */
export interface Compared {
  readonly differences: readonly Difference[];
  /** The server has not run since the inventory was taken. */
  readonly proven: boolean;
  /** The complaints of the server when it ran last. */
  readonly knownDamage: readonly Finding[];
  /** Files that bear another time: that they are what they were, or that nobody can tell. */
  readonly touched: readonly Finding[];
  /** Times say nothing, and there was more to read than a start can afford. */
  readonly isUnproven: boolean;
  readonly unheard: Unheard | undefined;
}

/** A server that starts writes pg_control, and one that stops writes WAL: if either is untouched, nothing has run since. */
export async function compare(
  seen: Walk,
  inventory: Inventory,
  where: Omit<Touching, 'listed' | 'seen'>,
  signal: AbortSignal,
): Promise<Compared> {
  const { control } = where;
  const listed = inventory.files.length;
  const settled = await settleTouched({ ...where, seen, listed }, compareInventory(seen, inventory), signal);
  const { differences, findings: touched, isUnproven, unheard } = settled;
  const knownDamage = inventory.damage.map(({ blocks, ...finding }) => ({
    ...finding,
    ...(blocks ? { blocks } : {}),
    severity: 'suspect' as const,
  })); // The next start asks the server again.
  if ('control' in control) {
    const { checkpointLsn, systemIdentifier } = control.control;
    const proven =
      formatLsn(checkpointLsn) === inventory.checkpointLsn &&
      systemIdentifier === inventory.systemIdentifier &&
      !settled.isOutdated &&
      control.control.state.startsWith('shut down');
    return { differences, proven, knownDamage, touched, isUnproven, unheard };
  }
  const hadWal = inventory.files.some(([path]) => path.startsWith('pg_wal/'));
  const proven =
    hadWal && !differences.some(({ path }) => path.startsWith('pg_wal/')) && (await endsWithShutdown(where, inventory, signal));
  return { differences, proven, knownDamage, touched, isUnproven, unheard };
}

/** The times of a copied directory say nothing, so the WAL itself is asked: nothing was written after the checkpoint of that shutdown. */
async function endsWithShutdown(
  { dataDir, stateDir }: Pick<Touching, 'dataDir' | 'stateDir'>,
  { checkpointLsn }: Inventory,
  signal: AbortSignal,
): Promise<boolean> {
  const kept = await keptBytes(stateDir, await readKept(stateDir), 'global/pg_control');
  const read = kept && parseControlFile(kept);
  if (!read || !('control' in read) || formatLsn(read.control.checkpointLsn) !== checkpointLsn) return false;
  const { timeline, systemIdentifier, walSegmentSizeBytes: segmentSizeBytes, checkpointLsn: start } = read.control;
  let records = 0;
  const { broken } = await readWal(
    fromText(join(dataDir, 'pg_wal')),
    { timeline, systemIdentifier, segmentSizeBytes },
    start,
    signal,
    () => {
      records += 1;
      return records < 2;
    },
  );
  return records === 1 && !broken;
}

/** Findings from the inventory alone; a file that another check has named already is not named twice. */
export function lossesOf(dataDir: string, differences: readonly Difference[], seen: Walk, known: readonly Finding[]): Finding[] {
  const named = new Set(known.flatMap(({ path, code }) => (code === 'relation.folder' ? [] : [path]))); // Its file is gone all the same.
  const within = known.filter(({ code }) => code === 'directory.lost' || code === 'wal-directory.missing').map(({ path }) => `${path}/`);
  const lostDatabases = databasesGone(differences, seen);
  const folded = lostDatabases.map(({ path }) => `${path}/`);
  const single = differences.flatMap(({ path, now, sizeBytes, evidence: read, isIndex }): Finding[] => {
    if (folded.some((home) => path.startsWith(home))) return [];
    if (named.has(path) || within.some((home) => path.startsWith(home))) return [];
    const meaning = meaningOfLoss(dataDir, path, now === undefined, seen);
    const code = isIndex && meaning === 'relation.changed' && !isCatalogFile(path) ? 'index.damaged' : meaning;
    if (code === undefined) return [];
    const evidence =
      now === undefined
        ? `the file is gone since the last clean shutdown (it had ${sizeBytes} bytes)`
        : now.sizeBytes !== sizeBytes
          ? `size ${now.sizeBytes}, but ${sizeBytes} at the last clean shutdown`
          : (read ?? 'it was written to after the last clean shutdown, while no server ran');
    return [{ code, path, evidence, severity: 'certain' }];
  });
  return [...lostDatabases, ...single];
}

/** A file that is gone but held nothing can simply be made again, whatever it was. */
export function withEmptyFiles(findings: readonly Finding[], differences: readonly Difference[]): Finding[] {
  const empty = new Set(differences.filter(({ now, sizeBytes }) => now === undefined && sizeBytes === 0).map(({ path }) => path));
  return findings.map((finding) =>
    empty.has(finding.path) && /missing/.test(finding.code)
      ? {
          ...finding,
          code: 'empty-file.missing',
          evidence: 'the file is gone since the last clean shutdown; it was empty',
          severity: 'certain',
        }
      : finding,
  );
}

/** Nothing is made below the mount point of a tablespace that is away: empty files and maps are there, or nobody's, once it is mounted again. */
export function withoutUnmounted(findings: readonly Finding[]): Finding[] {
  const away = findings.flatMap(({ code, path }) => (code === 'tablespace.dangling' ? [`${path}/`] : []));
  return findings.filter(({ code, path }) => !(isMadeAgain(code) && away.some((home) => path.startsWith(home))));
}

const isMadeAgain = (code: Finding['code']): boolean => code === 'empty-file.missing' || code === 'cache.damaged';

/** A database whose directory is gone is one finding, not three hundred. */
function databasesGone(differences: readonly Difference[], seen: Walk): Finding[] {
  const files = new Map<string, number>();
  for (const { path, now } of differences) {
    const home = now === undefined ? /^base\/\d+(?=\/)/.exec(path)?.[0] : undefined;
    if (home !== undefined && seen.entries.has('base') && !seen.entries.has(home)) files.set(home, (files.get(home) ?? 0) + 1);
  }
  return [...files].map(([path, count]) => ({
    code: 'database.missing',
    path,
    evidence: `the directory and its ${count} files are gone since the last clean shutdown`,
    severity: 'certain',
  }));
}

/** The damaged files, and the lost directories, of which copies were kept that are proven current. */
export async function keptCopies(
  stateDir: string,
  compared: Compared | undefined,
  inventory: Inventory | undefined,
  findings: readonly Finding[],
): Promise<ReadonlySet<string>> {
  const kept = new Set<string>();
  if (!compared?.proven || !inventory) return kept;
  const copiesKept = findings.length > 0 ? await readKept(stateDir) : undefined;
  for (const { path, code } of findings) {
    const files = code === 'directory.lost' ? filesAt(inventory, path).map((file) => file.path) : [path];
    const copies = await Promise.all(files.map((file) => isKept(stateDir, copiesKept, inventory, file)));
    if (copies.length > 0 && copies.every(Boolean)) kept.add(path);
  }
  return kept;
}

/** PostgreSQL ignores a torn page at a file's end, so an odd size alone proves nothing; the inventory knows whether it is new. */
export function oddSizes(seen: Walk, control: ControlFile, compared: Compared | undefined, isServed: boolean): Finding[] {
  const isGrowing = (path: string): boolean => isServed && (seen.entries.get(path)?.sizeBytes ?? 0) % control.blockSizeBytes !== 0;
  const all = inspectSizes(seen, control, control.state === 'shut down' ? 'certain' : 'suspect');
  const odd = all.filter(({ path }) => !isGrowing(path));
  if (!compared?.proven) return odd;
  const changed = new Set(compared.differences.map(({ path }) => path));
  return odd.filter(({ path }) => changed.has(path));
}
