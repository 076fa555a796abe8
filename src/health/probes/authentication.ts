import type { PostgresqlSettings } from '../../config/config.ts';
import type { HealthSettings } from '../../config/health-settings.ts';
import { roughly } from '../../kernel/units.ts';
import { judge, skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import type { Refusal } from './refusal.ts';
import type { Sessions, SharedSessions } from './sessions.ts';

/** The application gets in as it would: its role, its password, over TCP. */
export function authenticationProbe(
  { username, database = username, port }: PostgresqlSettings,
  { latency }: HealthSettings,
  sessions: SharedSessions,
): ProbeOf<'authentication'> {
  return {
    name: 'authentication',
    title: 'application role over TCP',
    check: (signal) =>
      sessions.during(signal, async (open): Promise<ResultOf<'authentication'>> => {
        const attempt = await open.application();
        if (attempt === undefined) return skipped('listen_addresses is empty: there is no TCP to log in over');
        const address = `${await open.tcpHost()}:${port}`;
        if (attempt.session) {
          const seconds = attempt.connectMs / 1000;
          const status = judge(seconds, latency);
          const took = status === 'ok' ? '' : `, which takes ${roughly(seconds)}`;
          return {
            status,
            summary: `${username} logs in to ${database} on ${address}${took}`,
            hint:
              status === 'ok'
                ? undefined
                : 'look at what a login runs (login triggers, auth_delay, a directory service), then at the machine',
            data: { connectMs: Math.round(attempt.connectMs * 10) / 10 },
          };
        }
        if (attempt.refusal.kind === 'own')
          return { status: 'unknown', summary: `dbkit cannot ask: ${attempt.refusal.words}`, hint: attempt.refusal.hint };
        const isUp = (await open.superuser()).refusal?.kind;
        if (isUp === 'silent' || isUp === 'foreign' || isUp === 'hung' || isUp === 'starting') return skipped('the server does not answer');
        if (attempt.refusal.kind === 'hung') return unanswered(address);
        const [summary, hint] = await explain(open, attempt.refusal, { username, database, address });
        return { status: 'critical', summary, hint, data: { why: attempt.refusal.kind, words: attempt.refusal.words } };
      }),
  };
}

/** Asked twice: a machine that is too busy to let dbkit in in time looks like this, too. Silence is no evidence against the server. */
const unanswered = (address: string): ResultOf<'authentication'> => ({
  status: 'unknown',
  summary: `the server answers on its socket, and nobody answered in time on ${address}`,
  hint: 'ask again when the machine is less busy; if it stays so, something drops what goes to that port',
});

interface Who {
  readonly username: string;
  readonly database: string;
  readonly address: string;
}

/** The server tells a stranger only that he may not come in; the superuser may be told why. */
async function explain(
  open: Sessions,
  { kind, words }: Refusal,
  { username, database, address }: Who,
): Promise<readonly [summary: string, hint: string]> {
  if (kind === 'silent')
    return [`the server answers on its socket, but not on ${address}`, 'look at listen_addresses and port in postgresql.conf'];
  if (kind === 'full') return [`${username} is not let in: ${words}`, 'end clients that are not needed, or raise max_connections'];
  if (kind === 'no-database') return [`the database ${database} does not exist`, '`dbkit restart postgresql` makes it again, empty'];
  if (kind !== 'not-let-in') return [`${username} is not let in: ${words}`, '`dbkit status` shows more'];
  if (/pg_hba\.conf/.test(words))
    return [`pg_hba.conf has no line that lets ${username} in on ${address}`, 'add a host line for it, then reload'];
  const session = (await open.superuser()).session;
  if (!session) return [`${username} is not let in on ${address}: ${words}`, 'check DATABASE_USERNAME and DATABASE_PASSWORD'];
  const [role] = await session.query<{ login: boolean; expired: boolean | null; age: string | null }>(
    `SELECT rolcanlogin AS login, rolvaliduntil < now() AS expired, extract(epoch FROM now() - rolvaliduntil)::text AS age
       FROM pg_roles WHERE rolname = $1`,
    [username],
  );
  const quoted = session.escapeIdentifier(username);
  if (!role) return [`the role ${username} does not exist`, '`dbkit restart postgresql` makes it again'];
  if (!role.login) return [`the role ${username} may not log in`, `as the superuser: ALTER ROLE ${quoted} LOGIN`];
  if (role.expired) {
    return [
      `the password of ${username} expired ${roughly(Number(role.age))} ago`,
      `as the superuser: ALTER ROLE ${quoted} VALID UNTIL 'infinity'`,
    ];
  }
  const [stored] = await session
    .query<{ absent: boolean }>('SELECT rolpassword IS NULL AS absent FROM pg_catalog.pg_authid WHERE rolname = $1', [username])
    .catch(() => []);
  if (stored?.absent)
    return [`the role ${username} has no password`, 'set DATABASE_PASSWORD and run `dbkit restart postgresql`, which gives it to the role'];
  return [
    `the password of ${username} is not the one in the configuration`,
    `correct DATABASE_PASSWORD, or as the superuser: \\password ${username}`,
  ];
}
