import type { ClusterCheck, ClusterHistory, ClusterReport, MemberReport } from '../cluster/report.ts';
import type { Prospects } from '../cluster/why-not.ts';
import { bytes, moment } from '../kernel/units.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

/** Above every report of a cluster whose automatic failover is off; '' where it is on. */
export const banner = (paused: boolean | null, style: Style, until: string | null = null): string =>
  paused !== true
    ? ''
    : `${style.bad(`AUTOMATIC FAILOVER IS OFF${until === null ? '' : ` until ${moment(until)}`}: the cluster is paused; \`dbkit ha resume\` turns it on`)}\n\n`;

export function statusView(report: ClusterReport, style: Style): string {
  const heading = ['MEMBER', 'ROLE', 'STATE', 'SERVER', 'TIMELINE', 'BEHIND', 'WRITES', 'PATRONI'].map(style.dim);
  const notes = [
    table(
      report.members.map((member) => row(member, style)),
      heading,
    ),
    summaryOf(report),
    findingsView(report, style),
  ];
  return `${banner(report.paused, style, report.pausedUntil)}${notes.filter(Boolean).join('\n\n')}`;
}

export function checkView(report: ClusterCheck, style: Style): string {
  const look = { ok: style.good, warning: style.warn, critical: style.bad, unknown: style.warn }[report.status];
  const { write } = report;
  const written =
    write === null
      ? 'no write was tried: ha.writeAddress is not set'
      : write.committed
        ? `a commit through ${write.address} was acknowledged${write.reachesLeader ? ' by the leader' : ''}`
        : `no commit through ${write.address}`;
  return `${look(report.status)}: ${written}\n\n${statusView(report, style)}`;
}

export function prospectsView({ leader, blocked, candidates, wouldFailOver }: Prospects, style: Style): string {
  const first = wouldFailOver ? style.good('a replica would take over by itself') : style.bad('nobody would take over by itself');
  const rows = candidates.flatMap(({ member, isEligible, obstacles, lagBytes }) =>
    isEligible
      ? [[member, style.good('may be promoted'), lagBytes === null ? '' : `${bytes(lagBytes)} behind`]]
      : obstacles.map(({ words }, index) => [index === 0 ? member : '', style.bad('not'), words]),
  );
  const lines = [`leader: ${leader ?? style.bad('none')}; ${first}`, ...blocked.map(({ words }) => style.bad(words))];
  return rows.length === 0 ? lines.join('\n') : `${lines.join('\n')}\n\n${table(rows)}`;
}

export function historyView({ known, changes, paused }: ClusterHistory, style: Style): string {
  const above = banner(paused, style);
  if (!known) return `${above}no member answers for it`;
  if (changes.length === 0) return `${above}the cluster has had one leader since it was made`;
  const rows = changes.map(({ timeline, at, newLeader, reason }) => [
    at === null ? 'not known' : moment(new Date(at).toISOString()),
    String(timeline + 1),
    newLeader ?? 'not known',
    reason,
  ]);
  return above + table(rows, ['WHEN', 'TIMELINE', 'LEADER', 'REASON']);
}

function row({ name, role, state, server, timeline, writable, streaming, lagBytes, patroni }: MemberReport, style: Style): string[] {
  const writes = writable === null ? style.warn('not known') : writable ? 'yes' : 'no';
  const well = state === 'running' && streaming !== false;
  return [
    name,
    role,
    well
      ? style.good(streaming === true ? 'streaming' : 'running')
      : style.bad(streaming === false && state === 'running' ? 'not streaming' : (state ?? 'not known')),
    server,
    timeline === null ? '' : String(timeline),
    lagBytes === null ? '' : bytes(lagBytes),
    writes,
    patroni === null ? style.bad('no answer') : patroni.version,
  ];
}

function summaryOf({ scope, leader, agreed, synchronous, ttlSeconds, scheduledSwitchover }: ClusterReport): string {
  const parts = [
    scope === null ? '' : `cluster ${scope}`,
    leader === null ? 'no leader' : agreed ? `${leader} leads` : `${leader} runs as primary; no Patroni can read the store`,
    synchronous === null ? '' : synchronous ? 'synchronous' : 'asynchronous: the last rows of a dead leader may be lost',
    ttlSeconds === null ? '' : `a dead leader is replaced after ${ttlSeconds} s`,
    scheduledSwitchover === null ? '' : `a switchover is planned for ${scheduledSwitchover.at}`,
  ];
  return parts.filter(Boolean).join(', ');
}

function findingsView({ findings }: ClusterReport, style: Style): string {
  return findings
    .map(({ severity, member, words, next }) => {
      const look = severity === 'critical' ? style.bad : style.warn;
      return `${look(severity)}: ${member === null ? '' : `${member}: `}${words}\n  ${next}`;
    })
    .join('\n');
}
