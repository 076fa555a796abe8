import { chown, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dumps } from '../backups/backup.ts';
import { createDumps } from '../backups/dump/dumps.ts';
import { findTools } from '../backups/dump/tools.ts';
import type { PostgresqlOptions } from '../boot/hold.ts';
import { inspect } from '../inspection/inspect.ts';
import { findBinaries } from '../instance/binaries.ts';
import type { Local } from '../instance/local.ts';
import { copySettings, onPrivateServer } from '../instance/server/private-server.ts';
import { volumeOf } from '../instance/volume.ts';
import { DbkitError, wordsOf } from '../kernel/errors.ts';
import type { HeldLock } from '../kernel/machine.ts';
import { inScratchFolder } from '../restore/scratch.ts';
import { copyDamaged, type DamagedCopy } from './copy-damaged.ts';
import { ListLost, standInForList } from './database-list.ts';
import { countEmptyPages } from './empty-pages.ts';
import { createLosses } from './losses.ts';
import { beginNewWal } from './new-wal.ts';
import { type DatabaseRead, readDatabases } from './read-databases.ts';
import type { Wipe } from './read-table.ts';
import { missingFile, type SalvageReport, zeroedPages } from './report.ts';
import { blankConfiguration, fillGaps } from './skeleton.ts';
import { standIn } from './stand-in.ts';

/** Damaged pages read as empty, damaged indexes are not asked; on a copy only (config chapter "Developer Options"). */
const indulgence: Record<string, string> = {
  zero_damaged_pages: 'on',
  ignore_system_indexes: 'on',
  enable_indexscan: 'off',
  enable_indexonlyscan: 'off',
  enable_bitmapscan: 'off',
  max_parallel_workers_per_gather: '0',
  lc_messages: 'C', // What it complains of is read from its log.
  log_min_messages: 'warning',
  wal_level: 'replica',
  synchronous_commit: 'on', // What was removed stays removed when the server crashes over the next row.
  allow_in_place_tablespaces: 'on',
};

/** How the copy is brought to start, the least that is given up first. Each says what it means for the result. */
const attempts: readonly { readonly how: string; prepare(local: Local, copy: DamagedCopy, signal: AbortSignal): Promise<string | null> }[] =
  [
    { how: 'as it is', prepare: async () => null },
    { how: 'with default settings', prepare: (_, copy) => blankConfiguration(copy) },
    { how: 'with new WAL', prepare: beginNewWal },
  ];
const STAND_INS_MAX = 200;
const ROUNDS_MAX = 4;

/**
 * Reads out of a damaged cluster what can be read, into a dump. It works on a copy: the damaged data is only read. Rejects with `data.corrupt`
 * when not even a copy can be made to serve, `program.missing` without pg_dump, `volume.full` where a copy has no room.
 */
export async function salvage(options: PostgresqlOptions, source: string, signal: AbortSignal): Promise<SalvageReport> {
  const { config, system, passwordIsGiven } = options;
  const { postgresql: settings, stateDir, backupDir } = config;
  const begunMs = system.clock.monotonicMs();
  return inScratchFolder(options, signal, async ({ path, owner, lock }) => {
    const dataDir = volumeOf(path).staged; // Where the next run looks for the server of one that was killed.
    const isRoot = system.self.uid === 0;
    const copy: DamagedCopy = { dataDir, own: async (file) => (isRoot ? chown(file, owner.uid, owner.gid) : undefined) };
    const { report } = await inspect(source, { stateDir: path, deep: false }, system, signal);
    const binaries = await findBinaries({ major: report.major ?? settings.version, directory: settings.binDir }, system, signal);
    await findTools(binaries.major, { config, system, owner }, signal);
    system.log.info('salvage.copying', `copying ${source}, to work on the copy`);
    const unread = await copyDamaged(source, dataDir, isRoot ? owner : undefined, signal);
    const assumptions = new Set(
      unread.length > 0 ? [`${unread.length} files could not be read, or not whole: ${unread.slice(0, 5).join(', ')}`] : [],
    );
    for (const words of await fillGaps(copy, binaries.major)) assumptions.add(words);
    for (const finding of report.findings.filter(({ code, path: file }) => code === 'slru.damaged' && /\/[0-9A-F]+$/.test(file)))
      assumptions.add(await standIn(copy, { kind: 'status', path: finding.path }));

    const logFile = join(path, 'server.log');
    const local: Local = { settings, passwordIsGiven, volume: volumeOf(path), stateDir, backupDir, logFile, owner, binaries, system };
    const onServer = startable({ ...local, lock }, copy, path, assumptions, signal);
    const gone = new Set<string>();
    const mend = (words: string): Promise<boolean> => standInFor(copy, words, { assumptions, gone });
    const losses = createLosses();
    const emptied = new Map<string, Set<number>>();
    for (let round = 1; ; round += 1) {
      const done = await onServer(async (socketDir) => {
        const read = await readDatabases(local, socketDir, { mend, isDoubtful: assumptions.size > 0, dataDir }, signal);
        losses.add(read.databases);
        if (read.wipes.length > 0 && round < ROUNDS_MAX) return read.wipes;
        if (read.databases.length === 0) throw nothingToRead(source, read.unreachable);
        const dumps: Dumps = createDumps({
          config: { ...config, postgresql: { ...settings, socketDir } },
          system,
          owner,
        });
        return { read, ...(await dump(dumps, read.databases, `salvaged from ${source}`, signal)) };
      });
      if ('label' in done) {
        const { read, label, failed } = done;
        const databases = read.databases.filter(({ name }) => !failed.some(({ database }) => database === name));
        const zeroed = zeroedPages(await readFile(logFile, 'utf8'));
        const empty = new Map<string, number>();
        for (const { paths, ...layout } of databases.flatMap(({ tables }) => tables))
          for (const file of paths) {
            const known = new Set([...(zeroed.get(file) ?? []), ...(emptied.get(file) ?? [])]);
            empty.set(file, await countEmptyPages(dataDir, file, { known, ...layout }, signal));
          }
        return {
          source,
          label,
          databases: databases.map(({ name }) => name),
          tables: losses.tables(databases, { zeroed, gone, empty }),
          unreachable: [...read.unreachable, ...failed],
          assumptions: [...assumptions, ...losses.others(read.databases, zeroed)],
          constraints: losses.constraints(),
          durationMs: Math.round(system.clock.monotonicMs() - begunMs),
        };
      }
      await wipe(dataDir, done, assumptions);
      for (const { path: file, block } of done) emptied.set(file, (emptied.get(file) ?? new Set()).add(block));
    }
  });
}

/** Puts something in the place of the file that these words of the server miss; false when that helps no further. */
async function standInFor(
  copy: DamagedCopy,
  words: string,
  { assumptions, gone }: { readonly assumptions: Set<string>; readonly gone: Set<string> },
): Promise<boolean> {
  const file = missingFile(words);
  if (!file || assumptions.size > STAND_INS_MAX) return false;
  const sentence = await standIn(copy, file);
  if (file.kind === 'relation') gone.add(file.path);
  const isNew = !assumptions.has(sentence);
  assumptions.add(sentence);
  return isNew;
}

/** Into one dump; a database that pg_dump cannot read does not take the others with it. */
async function dump(
  dumps: Dumps,
  databases: readonly DatabaseRead[],
  note: string,
  signal: AbortSignal,
): Promise<{ label: string; failed: SalvageReport['unreachable'] }> {
  const leaveOut = new Map(databases.map(({ name, tables }) => [name, tables.flatMap((table) => table.leaveOut ?? [])]));
  const failed: { database: string; words: string }[] = [];
  const skip = (database: string, words: string): void => void failed.push({ database, words });
  const names = databases.map(({ name }) => name);
  const { label } = await dumps.take(signal, { databases: names, note, pin: true, rolePasswords: true, salvage: { leaveOut, skip } });
  return { label, failed };
}

/** Starts the copy for a piece of work, each time the way that was found to work; what must be given up for it is remembered. */
function startable(
  local: Local & { readonly lock: HeldLock },
  copy: DamagedCopy,
  path: string,
  assumptions: Set<string>,
  signal: AbortSignal,
) {
  let attempt = 0;
  let hasNewList = false;
  return async <T>(work: (socketDir: string) => Promise<T>): Promise<T> => {
    const settings = { ...copySettings(local.binaries.major, { throwAway: true }), ...indulgence };
    for (;;) {
      let serves = false;
      try {
        const server = { dataDir: copy.dataDir, lock: local.lock, settings, trusts: true, what: 'the copy of the damaged data' };
        return await onPrivateServer(local, server, signal, (socketDir) => {
          serves = true;
          return work(socketDir);
        });
      } catch (cause) {
        signal.throwIfAborted();
        if (cause instanceof ListLost && !hasNewList) {
          hasNewList = true;
          assumptions.add(await standInForList(local, copy, path, signal));
          continue;
        }
        if (serves) throw cause;
        const file = missingFile(wordsOf(cause));
        const sentence = file && (await standIn(copy, file));
        if (sentence && !assumptions.has(sentence)) {
          assumptions.add(sentence);
          continue;
        }
        attempt += 1;
        const next = attempts[attempt];
        if (!next)
          throw new DbkitError('data.corrupt', `no server can be started on a copy of it: ${wordsOf(cause)}`, {
            hint: 'the damaged data is as it was; keep it, and restore a backup: `dbkit backup list`',
            cause,
          });
        local.system.log.info('salvage.attempt', `the copy does not start; trying ${next.how}`);
        const given = await next.prepare(local, copy, signal);
        if (given) assumptions.add(given);
      }
    }
  };
}

const nothingToRead = (source: string, unreachable: SalvageReport['unreachable']): DbkitError =>
  new DbkitError(
    'data.corrupt',
    `no database in ${source} accepts connections: ${unreachable.map(({ database, words }) => `${database}: ${words}`).join('; ')}`,
    {
      hint: 'the damaged data is as it was; keep it, and restore a backup: `dbkit backup list`',
    },
  );

/** Pages with rows that can neither be read nor removed: emptied, while no server holds them. */
async function wipe(dataDir: string, wipes: readonly Wipe[], assumptions: Set<string>): Promise<void> {
  for (const { path, block, blockSizeBytes, blocksPerSegment } of wipes) {
    const segment = Math.floor(block / blocksPerSegment);
    const file = await open(join(dataDir, segment === 0 ? path : `${path}.${segment}`), 'r+');
    try {
      await file.write(Buffer.alloc(blockSizeBytes), 0, blockSizeBytes, (block % blocksPerSegment) * blockSizeBytes);
    } finally {
      await file.close();
    }
  }
  assumptions.add(`${wipes.length} pages with rows that could neither be read nor removed were emptied`);
}
