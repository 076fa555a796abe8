import type { Alert } from '../alerts/alert.ts';
import type { Decision, MonitorState, Seen } from './decide.ts';

/** What has changed, in one sentence; null where nothing has. */
export function sentence(seen: Seen, { action, because }: Decision, state: MonitorState, before: MonitorState): string | null {
  if (seen.verdict === 'well') return before.wellSince === null ? 'all is well' : null;
  const what = seen.probe === null ? seen.verdict : `${seen.probe.name}: ${seen.probe.summary}`;
  if (action === 'recover') return `${what}; recovering, ${because}`;
  if (action === 'give-up') return `${what}; giving up, ${because}`;
  if (action === 'tell' && before.failures === state.failures) return null;
  if (action === 'leave' || action === 'tell') return `${what}; ${because}`;
  if (action === 'count') return `${what}; failed check ${state.failures}, ${because}`;
  return before.wellSince === null && before.failures === state.failures ? null : `${what}; nothing is done, ${because}`;
}

/** Whom to tell what: troubles at the threshold, not at the first chance failure. */
export function alertsOf(seen: Seen, { action, because }: Decision, state: MonitorState, before: MonitorState): Alert[] {
  const about =
    seen.probe === null ? [] : [`${seen.probe.name}: ${seen.probe.summary}.`, ...(seen.probe.hint === null ? [] : [`${seen.probe.hint}.`])];
  const alert = (severity: Alert['severity'], title: string, lines: readonly string[], command: string): Alert[] => [
    { topic: 'health', severity, resolves: false, title, lines: [...about, ...lines], command },
  ];
  if (seen.verdict === 'well')
    return [
      {
        topic: 'health',
        severity: 'SUCCESS',
        resolves: true,
        title: 'all is well again',
        lines: ['Every probe is answered.'],
        command: null,
      },
    ];
  if (action === 'recover')
    return alert(
      'ERROR',
      'the server failed, a recovery begins',
      [`It failed ${before.failures + 1} checks in a row.`],
      'dbkit monitor status',
    );
  if (action === 'give-up')
    return alert(
      'CRITICAL',
      'the server stays down until a person looks',
      [`${state.recoveries} recoveries did not last.`],
      'dbkit recover --dry-run',
    );
  if (action === 'tell')
    return alert(
      'CRITICAL',
      'the server is down, and cannot be recovered from here',
      [`It failed ${before.failures + 1} checks in a row.`, `Nothing is done: ${because}.`],
      'dbkit health',
    );
  if (seen.verdict === 'unwell' && seen.probe !== null)
    return alert('ERROR', `${seen.probe.name} is ${seen.probe.status}`, [`Nothing is done: ${because}.`], 'dbkit health');
  return [];
}
