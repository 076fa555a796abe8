import type { Config } from '../../config/config.ts';
import type { UserProbe } from '../../config/health-settings.ts';
import type { Connection } from '../../instance/connection.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { skipped } from '../health.ts';
import type { Probe, ProbeResult } from '../probe.ts';
import type { SharedSessions } from './sessions.ts';
import { createTurns } from './turns.ts';

type SqlProbe = Extract<UserProbe, { sql: string }>;
type CommandProbe = Extract<UserProbe, { command: string[] }>;

/** The questions of the user's own: `health.migrations` and `health.probes`. Those in SQL take turns in the application's one session. */
export function userProbes({ health, postgresql }: Config, system: System, sessions: SharedSessions): Probe[] {
  const { username, database = username, socketDir, port } = postgresql;
  const patienceOf = ({ timeoutSeconds }: Pick<UserProbe, 'timeoutSeconds'>): number => 1000 * (timeoutSeconds ?? health.timeoutSeconds);
  const own: (readonly [string, UserProbe])[] = Object.entries(health.probes);
  const migrations: SqlProbe | undefined =
    health.migrations === undefined ? undefined : { sql: health.migrations, failure: 'critical', timeoutSeconds: undefined };
  const inSql = [...own.map(([, probe]) => probe), migrations].filter((probe): probe is SqlProbe => probe !== undefined && 'sql' in probe);
  const allTurnsMs = health.timeoutSeconds * 1000 + inSql.reduce((sum, probe) => sum + patienceOf(probe), 500);
  const turns = createTurns();

  const sqlProbe = (name: string, title: string, settings: SqlProbe, words: Words): Probe => ({
    name,
    title,
    timeoutMs: allTurnsMs,
    check: (signal) =>
      sessions.during(signal, async (open): Promise<ProbeResult> => {
        const session = (await open.application())?.session;
        if (!session) return skipped(`${username} is not let in to ask`);
        return turns(() => askUser(session, settings, patienceOf(settings), words));
      }),
  });
  const environment = { PGHOST: socketDir, PGPORT: String(port), PGUSER: username, PGDATABASE: database };
  return [
    ...(migrations ? [sqlProbe('migrations', 'schema migrations', migrations, migrationWords)] : []),
    ...own.map(([name, probe]) =>
      'sql' in probe
        ? sqlProbe(name, 'SQL of yours', probe, plainWords)
        : commandProbe(name, probe, patienceOf(probe), environment, system),
    ),
  ];
}

interface Words {
  readonly yes: string;
  readonly no: (answer: string) => string;
  readonly hint: string | undefined;
}
const plainWords: Words = { yes: 'true', no: (answer) => `answers ${answer}`, hint: undefined };
const migrationWords: Words = {
  yes: 'the schema is what the code expects',
  no: (answer) => `the schema is not what the code expects (health.migrations answers ${answer})`,
  hint: 'run your migrations',
};

const statuses = new Set(['ok', 'warning', 'critical', 'unknown']);

/** First column true, or a status by name; a second column of text is the summary. Nothing is written: the transaction is read-only. */
async function askUser(session: Connection, { sql, failure }: SqlProbe, timeoutMs: number, words: Words): Promise<ProbeResult> {
  try {
    await session.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${Math.round(timeoutMs)}`);
    const [row] = await session.tuples(sql);
    const [answer, told] = row ?? [];
    const data = { answer: answer ?? null };
    const summary = typeof told === 'string' ? told : undefined;
    if (answer === true) return { status: 'ok', summary: summary ?? words.yes, data };
    if (typeof answer === 'string' && statuses.has(answer)) return { status: answer as 'ok', summary: summary ?? words.no(answer), data };
    const given = row === undefined ? 'no row' : answer === null ? 'null' : String(answer).slice(0, 100);
    return { status: failure, summary: summary ?? words.no(given), hint: words.hint, data };
  } catch (cause) {
    const said = cause instanceof Error ? cause.message.replace(/^PostgreSQL answered: /, '') : String(cause);
    return { status: 'unknown', summary: `the SQL fails: ${said}`, hint: 'correct it in dbkit.yaml', data: { words: said } };
  } finally {
    await session.query('ROLLBACK').catch(() => undefined);
  }
}

const NAGIOS = ['ok', 'warning', 'critical'] as const;

/** A plugin in the Nagios dialect: its exit status is the status, the first line of its output (up to figures after `|`) the summary. */
function commandProbe(
  name: string,
  { command: [file, ...args] }: CommandProbe,
  timeoutMs: number,
  env: Readonly<Record<string, string>>,
  { runner }: System,
): Probe {
  return {
    name,
    title: 'command of yours',
    timeoutMs: timeoutMs + 3_000, // The runner ends what it started by then.
    check: async (signal) => {
      try {
        const { exitCode, stdout, stderr } = await runner.attempt({ file: file!, args, env, as: 'caller', timeoutMs }, signal);
        const said = (stdout.trim() || stderr.trim()).split('\n')[0]!.split('|')[0]!.trim();
        return { status: NAGIOS[exitCode] ?? 'unknown', summary: said || `exit status ${exitCode}`, data: { exitCode } };
      } catch (cause) {
        if (!(cause instanceof DbkitError)) throw cause;
        return { status: 'unknown', summary: cause.message.split('\n')[0]!, hint: 'correct the command in dbkit.yaml' };
      }
    },
  };
}
