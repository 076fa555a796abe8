import type { AnyFacts } from '../../src/health/facts.ts';
import type { ProbeReport } from '../../src/health/health.ts';
import { type LogEntry, type LogMeaningId, logRows } from '../../src/health/log-messages.ts';
import type { ProbeStatus } from '../../src/health/probe.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { type DecisionId, decisions, type Facts, watchingAnew } from '../../src/monitor/decide.ts';
import { type VerdictId, verdicts } from '../../src/monitor/verdict.ts';
import { everyRow } from '../harness/every-row.ts';

const probe = (name: string, status: ProbeStatus, data: AnyFacts | null = null): ProbeReport => ({
  ...{ service: 'postgresql', name, title: name, status, summary: '', hint: null, data, durationMs: 1 },
});
everyRow<VerdictId, ProbeReport>('what a check means', (given) => decide(verdicts, given), {
  starting: probe('connection', 'critical', { why: 'starting' }),
  'process-starting': probe('service', 'critical', { state: 'stopping' }),
  'connections-full': probe('connection', 'critical', { why: 'full' }),
  'volume-read-only': probe('connection', 'critical', { why: 'read-only' }),
  'superuser-refused': probe('connection', 'critical', { why: 'not-let-in' }),
  'server-failed': probe('data-directory', 'critical'),
  'beyond-recovery': probe('disk', 'critical'),
  'not-known': probe('disk', 'unknown'),
});

const nowMs = Date.parse('2026-11-28T01:00:00Z');
const facts: Facts = {
  seen: { verdict: 'failed', reason: 'server-failed', probe: null },
  state: { ...watchingAnew, failures: 2 },
  limits: { maxFailures: 3, cooldownMs: 3_600_000, maxRecoveries: 3 },
  nowMs,
  busy: null,
};
everyRow<Exclude<DecisionId, 'left-to-another'>, Facts>('what the monitor does', (given) => decide(decisions, given), {
  paused: { ...facts, state: { ...watchingAnew, pausedUntil: '2026-11-28T02:00:00Z' } },
  'all-well': { ...facts, seen: { verdict: 'well', reason: null, probe: null } },
  'let-it-start': { ...facts, seen: { verdict: 'waiting', reason: 'starting', probe: null } },
  'not-for-recovery': { ...facts, seen: { verdict: 'unwell', reason: 'beyond-recovery', probe: null } },
  'somebody-works': { ...facts, busy: 'working' },
  'gave-up-before': { ...facts, state: { ...watchingAnew, gaveUp: true } },
  'too-few-failures': { ...facts, state: watchingAnew },
  'under-patroni': { ...facts, isMember: true },
  'files-elsewhere': { ...facts, isRemote: true },
  'recovered-too-often': { ...facts, state: { ...facts.state, recoveries: 3 } },
  'cooling-down': { ...facts, state: { ...facts.state, recoveries: 1, lastRecoveryAt: '2026-11-28T00:50:00Z' } },
  'recovery-due': facts,
});

const entry = (message: string, more: Partial<LogEntry> = {}): LogEntry => ({ severity: 'ERROR', sqlState: undefined, message, ...more });
everyRow<LogMeaningId, LogEntry>('messages in the log', (given) => decide(logRows, given), {
  'shared-memory-full': entry('could not resize shared memory segment "/PostgreSQL.1234567": No space left on device'),
  'page-damaged': entry('invalid page in block 0 of relation base/5/16384'),
  'checksum-failed': entry('page verification failed, calculated checksum 1 but expected 2'),
  'data-corrupted': entry('x', { sqlState: 'XX001' }),
  'index-corrupted': entry('x', { sqlState: 'XX002' }),
  'disk-full': entry('could not write to file "x": No space left on device'),
  'file-missing': entry('could not open file "base/5/16384": No such file or directory'),
  'disk-fails': entry('could not open file "global/1262": Input/output error'),
  'file-unreadable': entry('could not fsync file "x": Cannot allocate memory'),
  'process-crashed': entry('server process (PID 7) was terminated by signal 11: Segmentation fault'),
  'process-killed': entry('server process (PID 7) was terminated by signal 9: Killed'),
  'startup-failed': entry('aborting startup due to startup process failure'),
  'recovery-interrupted': entry('database system was interrupted while in recovery at 2026-11-28 01:00:00 UTC'),
  'data-damaged': entry('could not access status of transaction 4242'),
  'mendable-damage': entry('incorrect checksum in control file'),
  'error-names-a-data-file': entry('ungültige Seite in Block 2 von Relation base/5/16384', { severity: 'FEHLER' }),
  panic: entry('x', { severity: 'PANIC' }),
});
