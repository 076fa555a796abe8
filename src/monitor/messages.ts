import type { Alert } from '../alerts/alert.ts';
import { moment } from '../kernel/units.ts';
import { type Busy, type Decision, decisions, type MonitorLimits, type MonitorState } from './decide.ts';
import type { Seen } from './verdict.ts';

const busyWords: Record<Busy, string> = {
  held: 'it is held until a person decides: `dbkit status` says why',
  stopped: 'a person stopped it: `dbkit restart postgresql` (on a member of Patroni: `patroni`) starts it',
  working: 'dbkit itself works on it',
};

/** Why that was decided, as one sentence. */
export function becauseOf({ id, busy }: Decision): string {
  if (id === 'left-to-another') return 'a recovery is due, and left to another process';
  return busy === null ? decisions.find((row) => row.id === id)!.words : busyWords[busy];
}

/** The change, in one sentence; null where nothing has. */
export function sentence(seen: Seen, decision: Decision, state: MonitorState, before: MonitorState, limits: MonitorLimits): string | null {
  if (seen.verdict === 'well') return before.wellSince === null ? 'all is well' : null;
  const what = seen.probe === null ? seen.verdict : `${seen.probe.name}: ${seen.probe.summary}`;
  const because = becauseOf(decision);
  const { action, id } = decision;
  if (action === 'recover') return `${what}; recovering, ${because}`;
  if (action === 'give-up') return `${what}; giving up, ${because}`;
  if (action === 'tell' && before.failures === state.failures) return null;
  if (action === 'leave' || action === 'tell') return `${what}; ${because}`;
  if (id === 'cooling-down' && before.failures >= limits.maxFailures) return null; // Said when it came to that; an hour of it is no news.
  if (action === 'count') return `${what}; failed check ${state.failures}, ${because}`;
  return before.wellSince === null && before.failures === state.failures ? null : `${what}; nothing is done, ${because}`;
}

/** When the cooldown lets the monitor recover again. */
const nextRecovery = ({ lastRecoveryAt }: MonitorState, { cooldownMs }: MonitorLimits): string =>
  moment(new Date(Date.parse(lastRecoveryAt!) + cooldownMs).toISOString());

/** Whom to tell what: troubles at the threshold, not at the first chance failure. */
export function alertsOf(seen: Seen, decision: Decision, state: MonitorState, before: MonitorState, limits: MonitorLimits): Alert[] {
  const { probe } = seen;
  const about = probe === null ? [] : [`${probe.name}: ${probe.summary}.`, ...(probe.hint === null ? [] : [`${probe.hint}.`])];
  const figures = { failures: { count: before.failures + 1, limit: limits.maxFailures }, lastRecoveryAt: before.lastRecoveryAt };
  const alert = (severity: Alert['severity'], title: string, lines: readonly string[], command: string): Alert => ({
    topic: 'health',
    severity,
    resolves: false,
    title,
    lines: [...about, ...lines],
    command,
    ...figures,
    ...(probe === null ? {} : { probe: probe.name }),
  });
  if (seen.verdict === 'well') return [over('health', 'all is well again'), over('recovery', 'the server is well again')];
  switch (decision.action) {
    case 'recover':
      return [
        alert('ERROR', 'the server failed', [], 'dbkit monitor status'),
        {
          ...alert('WARNING', 'a recovery is under way', [`Recovery ${state.recoveries} of ${limits.maxRecoveries}.`], 'dbkit status'),
          topic: 'recovery',
        },
      ];
    case 'give-up':
      return [
        alert(
          'CRITICAL',
          'the server stays down until a person looks',
          [`${state.recoveries} recoveries did not last.`],
          'dbkit recover --dry-run',
        ),
      ];
    case 'tell':
      return [
        alert(
          'CRITICAL',
          decision.id === 'under-patroni' ? 'the server of this member is down' : 'the server is down, and cannot be recovered from here',
          [`Nothing is done: ${becauseOf(decision)}.`],
          decision.id === 'under-patroni' ? 'dbkit ha status' : 'dbkit health',
        ),
      ];
    case 'count':
      if (decision.id !== 'cooling-down') return [];
      return [
        alert(
          'CRITICAL',
          'the server is down again, soon after a recovery',
          [`Nothing is done before ${nextRecovery(before, limits)}: ${becauseOf(decision)}.`],
          'dbkit monitor resume',
        ),
      ];
    default:
      if (decision.busy === 'held')
        return [alert('CRITICAL', 'the server is held until a person decides', [`${becauseOf(decision)}.`], 'dbkit recover --dry-run')];
      if (seen.verdict !== 'unwell' || probe === null) return [];
      return [alert('ERROR', `${probe.name} is ${probe.status}`, [`Nothing is done: ${becauseOf(decision)}.`], 'dbkit health')];
  }
}

const over = (topic: string, title: string): Alert => ({
  topic,
  severity: 'SUCCESS',
  resolves: true,
  title,
  lines: ['Every probe is answered.'],
  command: null,
});
