import { createReadStream, createWriteStream } from 'node:fs';
import { access, chown, copyFile, open, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DbkitError, isAbort, wordsOf } from '../../kernel/errors.ts';
import type { Tool } from '../../kernel/machine.ts';
import { firstProgram, foldersIn, isExecutable, namesIn } from '../../machine/is-there.ts';
import { connectSuperuser, type Local } from '../local.ts';
import { withPassfile } from '../passfile.ts';
import { openAsRole, wayTo } from '../sessions.ts';
import { needsPsql, psqlCommandIn, splitStatements } from './sql-statements.ts';
import { inTemporaryFolder } from './temporary-folder.ts';

const SCRIPT_TIMEOUT_MS = 24 * 3_600_000; // A first load may take hours; a stop still ends it.
const kinds = /\.(sh|sql|sql\.gz|sql\.xz|sql\.zst)$/;

/** The scripts of a first start, in C-locale order as the official image runs them; empty when the folder is missing. */
export async function findInitdbScripts(directory: string): Promise<string[]> {
  const names = await namesIn(directory); // One that cannot be read may hold the schema that everybody waits for.
  return names
    .filter((name) => kinds.test(name))
    .sort() // By code unit: the C locale.
    .map((name) => join(directory, name));
}

/** Runs each script once, stopping at the first error with its name and the last words it said. */
export async function runInitdbScripts(local: Local, scripts: readonly string[], socketDir: string, signal: AbortSignal): Promise<void> {
  for (const script of scripts) {
    local.system.log.info('initialize.script', `running ${basename(script)}`, { script });
    try {
      if (script.endsWith('.sh')) await runShellScript(local, script, socketDir, signal);
      else await withPlainText(local, script, signal, (file) => runSql(local, file, socketDir, signal));
    } catch (cause) {
      if (isAbort(cause)) throw cause;
      throw new DbkitError('service.failed', `the init script ${script} failed: ${wordsOf(cause)}`, {
        hint: 'correct the script and start again: the unfinished cluster was discarded, nothing else was touched',
        cause,
      });
    }
  }
}

/** An executable script is run as it is, another one by a shell; never sourced, so its `exit` ends only itself. */
async function runShellScript(local: Local, script: string, socketDir: string, signal: AbortSignal): Promise<void> {
  const executable = await isExecutable(script);
  const shell = await access('/bin/bash').then(
    () => '/bin/bash',
    () => '/bin/sh',
  );
  await run(local, executable ? { file: script, args: [] } : { file: shell, args: [script] }, socketDir, signal);
}

/** The first words of a seed, by which a first start knows it (backups/seed). */
export const SEED_MARK = '-- A seed made by dbkit.';

/**
 * A seed is data of whoever may commit, or of the server that it was saved from. It is loaded as the owner of the database logs in: a superuser's
 * session that has given its role away takes it back for any function that asks (RESET ROLE). psql, which runs programs, sees nothing of it.
 */
async function runSeed(local: Local, text: string, socketDir: string, signal: AbortSignal): Promise<void> {
  const command = psqlCommandIn(text);
  if (command !== undefined)
    throw new DbkitError('recovery.refused', `a seed is loaded without psql, and a line of it is psql’s own: ${command.slice(0, 80)}`, {
      hint: 'move it to a script of its own in the same folder; nothing of the seed was loaded',
    });
  const { settings } = local;
  const database = databaseOf(local);
  const asking = await connectSuperuser(local, database, signal, socketDir);
  const [row] = await asking
    .query<{ owner: string }>('SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = $1', [database])
    .finally(() => asking.end());
  const target = { ...wayTo(settings), socketDir, user: row!.owner, database, password: undefined };
  const session = await openAsRole(target, {}, signal);
  try {
    for (const statement of splitStatements(text)) await session.query(statement);
  } finally {
    await session.end();
  }
}

async function runSql(local: Local, file: string, socketDir: string, signal: AbortSignal): Promise<void> {
  if (await isSeed(file)) return runSeed(local, await readFile(file, 'utf8'), socketDir, signal);
  const psql = await findPsql(local);
  if (psql !== undefined) {
    await run(local, { file: psql, args: ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', `--file=${file}`] }, socketDir, signal);
    return;
  }
  const text = await readFile(file, 'utf8');
  if (needsPsql(text))
    throw new DbkitError('program.missing', 'the script uses psql’s own commands or COPY data, and psql is not installed');
  const session = await connectSuperuser(local, databaseOf(local), signal, socketDir);
  try {
    for (const statement of splitStatements(text)) await session.query(statement);
  } finally {
    await session.end();
  }
}

async function isSeed(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SEED_MARK.length), 0, SEED_MARK.length, 0);
    return buffer.toString('utf8', 0, bytesRead) === SEED_MARK;
  } finally {
    await file.close();
  }
}

const databaseOf = ({ settings: { database, username } }: Local): string => database ?? username;

async function run(local: Local, tool: Pick<Tool, 'file' | 'args'>, socketDir: string, signal: AbortSignal): Promise<void> {
  const { settings, system, owner, volume } = local;
  const env = {
    ...system.childEnvironment,
    PGHOST: socketDir,
    PGPORT: String(settings.port),
    PGUSER: settings.superuser,
    PGDATABASE: databaseOf(local),
    PGDATA: volume.incoming,
    POSTGRES_USER: settings.superuser,
    POSTGRES_DB: databaseOf(local),
  };
  await withPassfile(settings.superuserPassword?.reveal(), { system, owner }, (passfile) =>
    system.runner.run({ ...tool, env: { ...env, ...passfile }, as: owner, lock: local.lock, timeoutMs: SCRIPT_TIMEOUT_MS }, signal),
  );
}

const findPsql = ({ binaries, system }: Local): Promise<string | undefined> =>
  firstProgram('psql', [binaries.directory, ...foldersIn(system.childEnvironment['PATH'])]);

/** Unpacks beside nothing of the user's. */
async function withPlainText(local: Local, script: string, signal: AbortSignal, work: (file: string) => Promise<void>): Promise<void> {
  if (script.endsWith('.sql')) return work(script);
  await inTemporaryFolder(local, async (directory) => {
    const plain = join(directory, 'script.sql');
    if (script.endsWith('.gz')) {
      const { createGunzip } = await import('node:zlib');
      await pipeline(createReadStream(script), createGunzip(), createWriteStream(plain), { signal });
    } else {
      const packed = `${plain}${script.slice(script.lastIndexOf('.'))}`;
      await copyFile(script, packed);
      const unpack = packed.endsWith('.xz')
        ? { file: 'xz', args: ['--decompress', packed] }
        : { file: 'zstd', args: ['--decompress', '--quiet', packed] };
      await local.system.runner.run({ ...unpack, timeoutMs: SCRIPT_TIMEOUT_MS }, signal);
    }
    await chown(plain, local.owner.uid, local.owner.gid);
    await work(plain);
  });
}
