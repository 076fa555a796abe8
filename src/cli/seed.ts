import { dirname, relative, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { LoadedSeed } from '../backups/seed/seed.ts';
import { manifestFile, readSeedManifest, type SeedManifest } from '../backups/seed/seed-file.ts';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import { bytes, counted, SIZE, sizeBytes } from '../kernel/units.ts';
import { readAsCaller } from '../machine/privileges.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { DATABASE_FLAG, databaseOf, type SnapshotFlags } from './snapshot-database.ts';

interface SaveFlags extends SnapshotFlags {
  readonly excludeTableData?: readonly string[];
  readonly maxSize: number;
}

const FILE = 'seed/50-seed.sql';
const LARGE_BYTES = 5 * 1024 ** 2;

/** A small database that lives in the repository of a project. */
export function registerSeed(program: Command, cli: Cli): void {
  const seed = program
    .command('seed')
    .description('a small database that lives in the repository of a project')
    .addHelpText('after', '\nExamples:\n  dbkit seed save\n  dbkit seed load');
  seed
    .command('save')
    .description('write the database as plain SQL, with a manifest beside it')
    .argument('[file]', 'where to', FILE)
    .option(...DATABASE_FLAG)
    .option('--exclude-table-data <pattern...>', 'tables that come without their rows')
    .option('--max-size <size>', 'refuse to write more', sizeFlag, sizeBytes('50MB'))
    .addHelpText(
      'after',
      '\nThe same data makes the same file. A first start runs it, in the order of its name, where the folder is postgresql.initScriptsDir or mounted at\n/docker-entrypoint-initdb.d.\n\nExample:\n  dbkit seed save seed/50-seed.sql',
    )
    .action((file: string, flags: SaveFlags, command: Command) =>
      cli.run(command, async ({ app: open, surroundings: { workingDirectory }, signal }) => {
        const app = await open({ asCaller: true }); // The project is whose it is; the server is asked over its connection.
        const excludeTableData = flags.excludeTableData ?? [];
        const { text, manifest } = await app.seeds.make(
          { database: databaseOf(flags, app.config), excludeTableData, maxBytes: flags.maxSize },
          signal,
        );
        const target = sqlFile(workingDirectory, file);
        const project = relative(workingDirectory, target).startsWith('..') ? dirname(target) : workingDirectory;
        await app.writeProject(target, text, project);
        await app.writeProject(manifestFile(target), `${JSON.stringify(manifest, null, 2)}\n`, project);
        return {
          report: { file: target, ...manifest, isCounted: excludeTableData.length === 0 },
          text: (style) => savedView(target, { ...manifest, isCounted: excludeTableData.length === 0 }, style),
        };
      }),
    );
  seed
    .command('load')
    .description('load it into a database without tables, whole or not at all')
    .argument('[file]', 'the seed', FILE)
    .option(...DATABASE_FLAG)
    .addHelpText('after', '\nAs the application’s role; the rows are counted.\n\nExample:\n  dbkit seed load')
    .action((file: string, flags: SnapshotFlags, command: Command) =>
      cli.run(command, async ({ app: open, surroundings: { workingDirectory }, signal }) => {
        const target = sqlFile(workingDirectory, file);
        const text = read(target);
        const manifest = readSeedManifest(readIfThere(manifestFile(target)) ?? '');
        const app = await open();
        const report = await app.seeds.load({ database: databaseOf(flags, app.config), text, manifest }, signal);
        return { report: { file: target, ...report }, text: () => loadedView(report) };
      }),
    );
}

function sizeFlag(text: string): number {
  if (!SIZE.test(text)) throw new InvalidArgumentError("a size is like '512kB' or '50MB'.");
  return sizeBytes(text);
}

function sqlFile(workingDirectory: string, file: string): string {
  if (!file.endsWith('.sql'))
    throw new DbkitError('usage.invalid', `${file} does not end in .sql, so no first start would run it`, {
      hint: `name it like ${FILE}; nothing was written`,
    });
  return resolve(workingDirectory, file);
}

function read(file: string): string {
  try {
    return readAsCaller(file);
  } catch (cause) {
    throw new DbkitError('usage.invalid', `${file} cannot be read (${errnoOf(cause) ?? wordsOf(cause)})`, {
      hint: '`dbkit seed save` writes one',
      cause,
    });
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readAsCaller(file);
  } catch {
    return undefined; // Then the rows are not held against it.
  }
}

const rowsOf = ({ tables }: SeedManifest): number => tables.reduce((sum, { rows }) => sum + rows, 0);

/** `isCounted`: with tables left out the manifest counts nothing. */
export const savedView = (file: string, manifest: SeedManifest & { readonly isCounted: boolean }, style: Style): string =>
  [
    `${style.good('saved')} ${manifest.database} in ${file} (${bytes(manifest.sizeBytes)}): ${manifest.isCounted ? `${counted(manifest.tables.length, 'table')}, ${counted(rowsOf(manifest), 'row')}` : 'its rows were not counted, as tables come without theirs'}`,
    ...(manifest.sizeBytes > LARGE_BYTES
      ? [style.warn(`a repository keeps every version of ${bytes(manifest.sizeBytes)}: leave rows out with --exclude-table-data`)]
      : []),
    `a first start runs it where ${dirname(file)} is postgresql.initScriptsDir, or is mounted at /docker-entrypoint-initdb.d`,
  ].join('\n');

export function loadedView({ database, tables, rows, isEdited }: LoadedSeed): string {
  if (isEdited) return `loaded into ${database}; the seed was edited since it was saved, so its rows were not counted`;
  if (tables === null || rows === null) return `loaded into ${database}; no manifest counts the rows of the seed, so they were not counted`;
  return `loaded into ${database}: ${counted(tables, 'table')}, ${counted(rows, 'row')}`;
}
