import { type Connection, sqlStateOf } from '../../instance/connection.ts';
import type { Clock } from '../../kernel/machine.ts';
import { roughly } from '../../kernel/units.ts';
import { skipped } from '../health.ts';
import type { Probe, ProbeResult } from '../probe.ts';
import { notAsked } from './asking.ts';
import type { SharedSessions } from './sessions.ts';

const UPSERT = `INSERT INTO dbkit.health (id, checked_at) VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at`;
const MAKE = [
  'CREATE SCHEMA IF NOT EXISTS dbkit',
  'CREATE TABLE IF NOT EXISTS dbkit.health (id int PRIMARY KEY CHECK (id = 1), checked_at timestamptz NOT NULL)',
];

const notThere = new Set(['3F000', '42P01']); // invalid_schema_name, undefined_table
const madeMeanwhile = new Set(['23505', '42P06', '42P07']); // Another check makes them at this moment.

/** A real commit: one row of dbkit's own in the maintenance database, always the same, so nothing grows. */
export function writeProbe(clock: Clock, sessions: SharedSessions, timeoutMs: number): Probe {
  return {
    name: 'write',
    title: 'a commit',
    check: (signal) =>
      sessions.during(signal, async (open): Promise<ProbeResult> => {
        const watch = await open.watch();
        if (!watch) return notAsked(open);
        if (watch.standby) return skipped('this is a standby: it does not take writes');
        const { session, refusal } = await open.writer();
        if (!session) return skipped(`only the superuser may write dbkit's row (${refusal.words})`);
        const begunMs = clock.monotonicMs();
        try {
          await session.query(`SET statement_timeout = ${Math.round(timeoutMs)}`);
          await upsert(session);
          const seconds = (clock.monotonicMs() - begunMs) / 1000;
          return { status: 'ok', summary: `a commit takes ${roughly(seconds)}`, data: { seconds } };
        } catch (cause) {
          return failed(cause, timeoutMs);
        }
      }),
  };
}

async function upsert(session: Connection): Promise<void> {
  try {
    await session.query(UPSERT);
  } catch (cause) {
    if (!notThere.has(sqlStateOf(cause) ?? '')) throw cause;
    for (const statement of MAKE) {
      await session.query(statement).catch((thrown: unknown) => {
        if (!madeMeanwhile.has(sqlStateOf(thrown) ?? '')) throw thrown;
      });
    }
    await session.query(UPSERT);
  }
}

/** What a refused commit means. */
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

function failed(cause: unknown, timeoutMs: number): ProbeResult {
  const words = cause instanceof Error ? cause.message.replace(/^PostgreSQL answered: /, '') : String(cause);
  const [summary, hint] = (/Read-only file system/.test(words) ? readOnly : reasons[sqlStateOf(cause) ?? '']) ?? [
    `no commit is possible: ${words}`,
    '`dbkit status` shows the disks',
  ];
  const within = sqlStateOf(cause) === '57014' ? ` within ${roughly(timeoutMs / 1000)}` : '';
  return { status: 'critical', summary: `${summary}${within}`, hint, data: { words } };
}
