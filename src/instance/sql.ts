import type { Config } from '../config/config.ts';
import { within } from '../kernel/deadline.ts';
import { DbkitError } from '../kernel/errors.ts';
import { exitStatus } from '../kernel/exit-status.ts';
import type { Files, Runner, Signals, SpawnChild } from '../kernel/machine.ts';
import { firstProgram, foldersIn } from '../machine/is-there.ts';
import { type Connection, positionOf, type SqlResult } from './connection.ts';
import { splitStatements } from './initialize/sql-statements.ts';
import { withPassfile } from './passfile.ts';
import { openAsRole, peerOf, tlsEnvironment, wayTo } from './sessions.ts';
import { shorthandFor } from './shorthand.ts';

const LOOK_MS = 10_000;

/** Whom and where to ask; undefined: the application's database. */
export interface SqlWish {
  readonly database: string | undefined;
  readonly asSuperuser: boolean;
}

export interface SqlReport {
  readonly database: string;
  readonly user: string;
  readonly results: readonly SqlResult[];
}

/** A session for a person: statements, and psql's commonest commands. */
export interface SqlSession {
  readonly database: string;
  readonly user: string;
  /** Runs a text of statements one after the other. Rejects with `command.failed`, the statement and the place of the error in its words. */
  run(text: string): Promise<readonly SqlResult[]>;
  end(): Promise<void>;
}

/** Rejects with `service.unready` when the server does not let this role in. */
export async function openSql(
  { config }: { readonly config: Config },
  { database, asSuperuser }: SqlWish,
  signal: AbortSignal,
): Promise<SqlSession> {
  const { superuser, superuserPassword, username, password, database: own = username } = config.postgresql;
  const user = asSuperuser ? superuser : username;
  const secret = asSuperuser ? superuserPassword : password;
  const target = { ...wayTo(config.postgresql), user, database: database ?? own, password: secret?.reveal() };
  const session = await openAsRole(target, {}, signal);
  return { database: target.database, user, run: (text) => runAll(session, text), end: () => session.end() };
}

async function runAll(session: Connection, text: string): Promise<readonly SqlResult[]> {
  const shorthand = text.trim().startsWith('\\') ? shorthandFor(text, session.escapeLiteral) : undefined;
  if (shorthand === undefined && text.trim().startsWith('\\'))
    throw new DbkitError('usage.invalid', `${text.trim()} is not a command here`, {
      hint: '\\? lists those that the built-in client knows',
    });
  const results: SqlResult[] = [];
  for (const statement of splitStatements(shorthand ?? text)) {
    try {
      results.push(...(await session.results(statement)));
    } catch (cause) {
      throw located(statement, cause);
    }
  }
  return results;
}

/** The line of the error under the message, as psql shows it. */
function located(statement: string, cause: unknown): unknown {
  const position = positionOf(cause);
  if (!(cause instanceof DbkitError) || position === undefined) return cause;
  const before = [...statement].slice(0, position - 1).join('');
  const number = before.split('\n').length;
  const line = statement.split('\n')[number - 1] ?? '';
  const column = before.length - (before.lastIndexOf('\n') + 1);
  const lead = `LINE ${number}: `;
  return new DbkitError(cause.code, `${cause.message}\n${lead}${line}\n${' '.repeat(lead.length + column)}^`, { hint: cause.hint, cause });
}

/**
 * psql with the instance's address, its own arguments behind. Resolves with its status; undefined where none is installed, and where one is older than
 * the server and is only asked what the built-in client knows too: its own commands ask for columns that a newer server no longer has.
 */
export async function runPsql(
  {
    config,
    spawn,
    runner,
    signals,
    files,
    commandEnvironment,
  }: {
    readonly config: Config;
    readonly spawn: SpawnChild;
    readonly runner: Runner;
    readonly files: Files;
    readonly signals: Signals;
    readonly commandEnvironment: Readonly<Record<string, string>>;
  },
  { commands = [], args, ...wish }: SqlWish & { readonly commands?: readonly string[]; readonly args: readonly string[] },
): Promise<number | undefined> {
  const { database, asSuperuser } = wish;
  const { socketDir, port, superuser, superuserPassword, username, password, database: own = username } = config.postgresql;
  const file = await psqlOf(config, commandEnvironment['PATH'] ?? '');
  if (file === undefined) return undefined;
  const isKnown = (text: string): boolean => shorthandFor(text, (value) => value) !== undefined;
  if (commands.length > 0 && commands.every(isKnown) && (await isOlderThanServer(file, { config, runner }, wish))) return undefined;
  const secret = asSuperuser ? superuserPassword : password;
  const env = {
    ...commandEnvironment,
    PGHOST: socketDir,
    PGPORT: String(port),
    PGUSER: asSuperuser ? superuser : username,
    PGDATABASE: database ?? own,
    ...tlsEnvironment(config.postgresql),
    ...(await peerOf(config.postgresql)),
  };
  return withPassfile(secret?.reveal(), { system: { files }, owner: undefined }, async (passfile) => {
    const child = await spawn({ file, args: [...args], env: { ...env, ...passfile }, output: 'inherit', newSession: false });
    const unsubscribe = signals.subscribe((signal) => {
      if (signal === 'SIGTERM') child.kill(signal); // Ctrl-C reaches psql by the terminal, and means: end this query.
    });
    try {
      return exitStatus(await child.exited);
    } finally {
      unsubscribe();
    }
  });
}

/** False where the server lets nobody in: psql says that in its own words. */
async function isOlderThanServer(
  file: string,
  { config, runner }: { readonly config: Config; readonly runner: Runner },
  wish: SqlWish,
): Promise<boolean> {
  const [said, server] = await within([], LOOK_MS, (signal) =>
    Promise.all([
      runner.run({ file, args: ['--version'], timeoutMs: LOOK_MS }, signal).then(({ stdout }) => /(\d+)/.exec(stdout)?.[1]),
      serverMajor(config, wish, signal),
    ]),
  ).catch(() => [undefined, undefined]);
  return said !== undefined && server !== undefined && Number(said) < server;
}

async function serverMajor(config: Config, wish: SqlWish, signal: AbortSignal): Promise<number> {
  const session = await openSql({ config }, wish, signal);
  try {
    const [answer] = await session.run("SELECT pg_catalog.current_setting('server_version_num')");
    return Math.floor(Number(answer?.rows[0]?.[0]) / 10_000);
  } finally {
    await session.end();
  }
}

/** The one beside the configured server's programs, else the first in PATH. */
const psqlOf = ({ postgresql: { binDir } }: Config, path: string): Promise<string | undefined> =>
  firstProgram('psql', [...(binDir === undefined ? [] : [binDir]), ...foldersIn(path)]);
