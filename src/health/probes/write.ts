import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import type { Clock } from '../../kernel/machine.ts';
import { counted, roughly } from '../../kernel/units.ts';
import { OWN_SLOT } from '../../wal/slot.ts';
import { skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { notAsked } from './asking.ts';
import type { SharedSessions } from './sessions.ts';

type WriteResult = ResultOf<'write'>;

const UPSERT = `INSERT INTO dbkit.health (id, checked_at) VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at`;
const MAKE = [
  'CREATE SCHEMA IF NOT EXISTS dbkit',
  'CREATE TABLE IF NOT EXISTS dbkit.health (id int PRIMARY KEY CHECK (id = 1), checked_at timestamptz NOT NULL)',
];
/** A transaction id is given out and its commit written and flushed, without any table. */
const BARE_COMMIT = 'SELECT pg_catalog.pg_current_xact_id()';

const notThere = new Set(['3F000', '42P01']); // invalid_schema_name, undefined_table
const madeMeanwhile = new Set(['23505', '42P06', '42P07']); // Another check makes them at this moment.

/**
 * A real commit: one row of dbkit's own in the maintenance database, always the same, so nothing grows. It does not wait for a standby, as no
 * timeout would end that wait (SyncRepWaitForLSN in src/backend/replication/syncrep.c); whether everybody else's would is asked.
 */
export function writeProbe(clock: Clock, sessions: SharedSessions, timeoutMs: number): ProbeOf<'write'> {
  return {
    name: 'write',
    title: 'a commit',
    check: (signal) =>
      sessions.during(signal, async (open): Promise<WriteResult> => {
        const watch = await open.watch();
        if (!watch) return notAsked(open);
        if (watch.standby) return skipped('this is a standby: it does not take writes');
        const { session, refusal } = await open.writer();
        if (!session && refusal.kind === 'own') return { status: 'unknown', summary: `dbkit cannot ask: ${refusal.words}` };
        if (!session && refusal.kind === 'full') return skipped(`there is no second session to be had (${refusal.words})`);
        if (!session) return skipped(`only the superuser may write dbkit's row (${refusal.words})`);
        const begunMs = clock.monotonicMs();
        try {
          const waits = await missingStandbys(session);
          await session.query(`SET statement_timeout = ${Math.round(timeoutMs)}`);
          await session.query('SET synchronous_commit = local');
          if (await isSomebodys(session)) return skipped('the schema dbkit belongs to another role, so nothing is written into it');
          const way = await commit(session);
          const seconds = (clock.monotonicMs() - begunMs) / 1000;
          if (waits !== undefined) return waiting(waits, seconds);
          return { status: 'ok', summary: `a commit takes ${roughly(seconds)}${way}`, data: { seconds } };
        } catch (cause) {
          return failed(cause, timeoutMs);
        }
      }),
  };
}

/** A table of somebody else's may have triggers, which would run as the superuser. */
async function isSomebodys(session: Connection): Promise<boolean> {
  const [row] = await session.query<{ others: number }>(
    `SELECT count(*)::int AS others
       FROM (SELECT nspowner AS owner FROM pg_namespace WHERE nspname = 'dbkit'
             UNION ALL SELECT relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'dbkit' AND c.relname = 'health') AS o
      WHERE pg_get_userbyid(owner) <> current_user`,
  );
  return row!.others > 0;
}

/** How dbkit's own row was written; words for where it may not be. */
async function commit(session: Connection): Promise<string> {
  try {
    await session.query(UPSERT);
    return '';
  } catch (cause) {
    if (!notThere.has(sqlStateOf(cause) ?? '')) throw cause;
  }
  for (const statement of MAKE) {
    try {
      await session.query(statement);
    } catch (cause) {
      if (madeMeanwhile.has(sqlStateOf(cause) ?? '')) continue;
      if (isOfTheServer(sqlStateOf(cause))) throw cause;
      await session.query(BARE_COMMIT); // An event trigger of the user's forbids the table: that is no disk, and commits go on.
      return ', without a table: dbkit may not make its own here';
    }
  }
  await session.query(UPSERT);
  return '';
}

/** The server itself is short of something, or may not do something, as against a rule that somebody made (Appendix A: classes 25, 53, 54, 57, 58, XX). */
const isOfTheServer = (sqlState: string | undefined): boolean => sqlState === undefined || /^(25|53|54|57|58|XX)/.test(sqlState);

interface Missing {
  readonly names: string;
  readonly wanted: number;
  readonly connected: number;
}

/** insufficient_privilege: a role of the application's may not read the server's files. */
const NOT_ALLOWED = '42501';

/** Undefined where nobody's commit waits for a standby that is not there, or this role may not know. The file is asked: a session of dbkit's has a setting of its own. */
async function missingStandbys(session: Connection): Promise<Missing | undefined> {
  const [row] = await session
    .query<{ names: string; how: string; connected: number }>(
      `SELECT pg_catalog.current_setting('synchronous_standby_names') AS names,
            coalesce((SELECT setting FROM pg_catalog.pg_file_settings WHERE name = 'synchronous_commit' AND applied ORDER BY seqno DESC LIMIT 1), 'on') AS how,
            (SELECT count(*)::int FROM pg_catalog.pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS connected`,
    )
    .catch((cause: unknown) => {
      if (sqlStateOf(cause) !== NOT_ALLOWED) throw cause;
      return [];
    });
  if (row === undefined) return undefined;
  const { names, how, connected } = row;
  if (names.trim() === '' || how === 'off' || how === 'local') return undefined;
  const wanted = Number(/^\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(/i.exec(names)?.[1] ?? 1);
  return connected >= wanted ? undefined : { names, wanted, connected };
}

const waiting = ({ names, wanted, connected }: Missing, seconds: number): WriteResult => ({
  status: 'critical',
  ...(names === OWN_SLOT ? forArchive : forStandby(names, wanted, connected)),
  data: { seconds, synchronousMissing: wanted - connected },
});

const forArchive = {
  summary: 'commits wait for the WAL archive, which cannot be written: wal.synchronous is on',
  hint: '`dbkit wal status` says why; to go on without it: DBKIT_WAL_SYNCHRONOUS=false, then `dbkit restart postgresql`',
} as const;

const forStandby = (names: string, wanted: number, connected: number) => ({
  summary: `commits wait for a synchronous standby: ${counted(wanted, 'standby').replace(/ys$/, 'ies')} of '${names}' must confirm, ${connected} ${connected === 1 ? 'is' : 'are'} connected`,
  hint: "start the standby; to go on without it: `ALTER SYSTEM SET synchronous_standby_names = ''`, then `SELECT pg_reload_conf()`",
});

/** The meaning of a refused commit, by SQLSTATE. */
const reasons: Readonly<Record<string, readonly [summary: string, hint: string]>> = {
  '25006': [
    'the server takes no writes: default_transaction_read_only is on',
    'as the superuser: ALTER SYSTEM RESET default_transaction_read_only, then reload',
  ],
  '53100': ['no commit is possible: the disk is full', '`dbkit health --probe disk` shows which volume'],
  '57014': [
    'a commit does not come to its end',
    'a synchronous replica that is away, or a lock, holds it up: `dbkit health --probe replication`',
  ],
};

/** PostgreSQL reports EROFS as a lack of privilege (errcode_for_file_access in src/backend/utils/error/elog.c). */
const readOnly = [
  'no commit is possible: the volume is read-only',
  'the kernel makes it so after an error of the disk: `dmesg` says why, `mount -o remount,rw` takes it back',
] as const;

function failed(cause: unknown, timeoutMs: number): WriteResult {
  const words = cause instanceof Error ? cause.message.replace(/^PostgreSQL answered: /, '') : String(cause);
  const sqlState = sqlStateOf(cause);
  const [summary, hint] = (/Read-only file system/.test(words) ? readOnly : reasons[sqlState ?? '']) ?? [
    `no commit is possible: ${words}`,
    '`dbkit status` shows the disks',
  ];
  const within = sqlState === '57014' ? ` within ${roughly(timeoutMs / 1000)}` : '';
  return { status: 'critical', summary: `${summary}${within}`, hint, data: { words } };
}
