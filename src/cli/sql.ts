import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { SqlResult } from '../instance/connection.ts';
import { shorthands } from '../instance/shorthand.ts';
import type { SqlSession, SqlWish } from '../instance/sql.ts';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import { readAsCaller } from '../machine/privileges.ts';
import type { Call, Cli } from './cli.ts';
import { resultsCsv, resultsView } from './output/results.ts';
import { table } from './output/table.ts';

interface SqlFlags {
  readonly command?: string[];
  readonly file?: string;
  readonly csv?: true;
  readonly superuser?: true;
  readonly builtin?: true;
}

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function registerSql(program: Command, cli: Cli): void {
  program
    .command('sql')
    .description('ask the database: psql where it is installed, else a small client of dbkit’s own')
    .argument('[database]', 'the database (default: the application’s)')
    .option('-c, --command <sql>', 'run this and end; may be given more than once', collect)
    .option('-f, --file <path>', 'run a file and end; - is stdin')
    .option('--csv', 'print rows as CSV')
    .option('--superuser', 'as the superuser instead of the application’s role')
    .option('--builtin', 'do not use psql')
    .addHelpText(
      'after',
      '\nHost, port, role and password are those of the configuration. With --json every result is in one document.\n\nExamples:\n  dbkit sql\n  dbkit sql -c "SELECT count(*) FROM orders"\n  dbkit sql -f schema.sql\n  dbkit sql -c "SELECT * FROM orders" --csv > orders.csv',
    )
    .action((database: string | undefined, flags: SqlFlags, command: Command) =>
      cli.run(
        command,
        async (call) => {
          const wish = { database, asSuperuser: flags.superuser === true };
          const status = flags.builtin || flags.csv || call.flags.json ? undefined : await withPsql(call, wish, flags);
          if (status !== undefined) return { report: {}, text: () => '', exit: status };
          return withOwnClient(call, wish, flags);
        },
        { ownSignals: true },
      ),
    );
}

/** psql's own flags for the same wish: nothing of the person's .psqlrc in what is no conversation, and an error ends a script. */
const withPsql = async ({ app }: Call, wish: SqlWish, { command = [], file }: SqlFlags): Promise<number | undefined> => {
  const isScript = command.length > 0 || file !== undefined;
  const args = [
    ...(isScript ? ['--no-psqlrc', '--set', 'ON_ERROR_STOP=1'] : []),
    ...command.flatMap((sql) => ['--command', sql]),
    ...(file === undefined ? [] : ['--file', file]),
  ];
  return (await app({ asCaller: true })).sql.psql({ ...wish, commands: file === undefined ? command : [], args });
};

async function withOwnClient(call: Call, wish: SqlWish, { command, file, csv }: SqlFlags) {
  const { terminal } = call.surroundings;
  const abort = new AbortController();
  const unsubscribe = call.surroundings.signals.subscribe((name) => {
    if (name === 'SIGINT' || name === 'SIGTERM') abort.abort();
  });
  const session = await (await call.app()).sql.open(wish, abort.signal);
  try {
    if (command === undefined && file === undefined && terminal.stdin && !call.flags.json && !csv) {
      await talk(session, call);
      return { report: {}, text: () => '' };
    }
    const texts = command ?? [await textOf(file ?? '-')];
    const results: SqlResult[] = [];
    for (const text of texts) results.push(...(await session.run(text)));
    const { database, user } = session;
    const report = { database, user, results };
    return { report, text: (style: Call['style']) => (csv ? resultsCsv(results) : resultsView(results, style)) };
  } finally {
    unsubscribe();
    await session.end();
  }
}

async function textOf(path: string): Promise<string> {
  try {
    if (path !== '-') return readAsCaller(path);
    process.stdin.setEncoding('utf8');
    return (await process.stdin.toArray()).join('');
  } catch (cause) {
    throw new DbkitError('usage.invalid', `${path} cannot be read (${errnoOf(cause) ?? wordsOf(cause)})`, {
      hint: 'name a file, or - for stdin',
    });
  }
}

/** A conversation: statements end with a semicolon, a backslash begins a command. Ctrl-D ends it. */
async function talk(session: SqlSession, { surroundings: { terminal }, style }: Call): Promise<void> {
  terminal.writeOut(`${session.user}@${session.database}: \\? lists commands, \\q ends\n`);
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: `${session.database}=> ` });
  let text = '';
  lines.prompt();
  for await (const line of lines) {
    if (text === '' && /^\\q\s*$/.test(line)) break;
    if (text === '' && /^\\\?\s*$/.test(line)) {
      terminal.writeOut(`${table(shorthands.map(({ command, words }) => [command, words]))}\n`);
    } else {
      text += `${line}\n`;
      if (text.startsWith('\\') || text.trim() === '' || text.trimEnd().endsWith(';')) {
        await answer(session, text, (words) => terminal.writeOut(words), style);
        text = '';
      }
    }
    lines.setPrompt(text === '' ? `${session.database}=> ` : `${session.database}-> `);
    lines.prompt();
  }
  lines.close();
}

async function answer(session: SqlSession, text: string, write: (words: string) => void, style: Call['style']): Promise<void> {
  try {
    const view = resultsView(await session.run(text), style);
    if (view !== '') write(`${view}\n`);
  } catch (cause) {
    if (!(cause instanceof DbkitError)) throw cause;
    write(`${style.bad('ERROR')}: ${cause.message}\n`);
  }
}
