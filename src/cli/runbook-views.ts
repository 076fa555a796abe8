import type { RunbookList, RunbookReport } from '../incident/open-runbook.ts';
import type { StepReport } from '../incident/runbook.ts';
import type { Contact } from '../incident/updates.ts';
import { duration, moment } from '../kernel/units.ts';
import { banner } from './ha-views.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

const sources: Record<RunbookReport['began']['from'], string> = {
  given: 'since the time that was given',
  alert: 'since the alert',
  'last-seen': 'since the primary was last heard',
  opened: 'since this was opened: no alert is known, `--since` says when it began',
};

const impactLook = (severity: RunbookReport['impact']['severity'], style: Style): ((text: string) => string) =>
  ({ critical: style.bad, warning: style.warn, ok: style.good })[severity];

/** Pure. */
export function runbookView(report: RunbookReport, style: Style): string {
  const { runbook, title, began, elapsedSeconds, impact, phases, update, contacts, at } = report;
  const heading = `${style.strong(`${runbook}: ${title}`)}\n${moment(at)}, ${duration(elapsedSeconds)} ${sources[began.from]}`;
  const parts = [
    heading,
    `impact: ${impactLook(impact.severity, style)(impact.words)}`,
    ...phases.map(
      ({ title: phase, steps }) => `${style.strong(phase.toUpperCase())}\n${steps.map((step) => stepView(step, style)).join('\n')}`,
    ),
    `${style.strong(`STATUS UPDATE ${update.number}`)} (ready to send; the next is due at ${moment(update.nextAt)})\n${indented(update.text)}`,
    contactsView(contacts, style),
  ];
  return `${banner(report.paused, style)}${parts.filter(Boolean).join('\n\n')}`;
}

const marks = (done: boolean | null): string => (done === true ? '[x]' : '[ ]');

function stepView({ words, command, done }: StepReport, style: Style): string {
  const line = `  ${done === true ? style.good(marks(done)) : marks(done)} ${words}`;
  return command === null ? line : `${line}\n      ${style.dim('$')} ${style.strong(command)}`;
}

const indented = (text: string): string => text.replace(/^/gm, '  ');

function contactsView(contacts: readonly Contact[], style: Style): string {
  if (contacts.length === 0)
    return style.dim('no contacts: `ha.contacts` in dbkit.yaml names them, each with the time after which it is called');
  const rows = contacts.map(({ name, reach, dueAt, isDue }) => [
    isDue ? style.bad('call now') : style.dim(`from ${moment(dueAt)}`),
    name,
    reach,
  ]);
  return `${style.strong('CONTACTS')}\n${indented(table(rows))}`;
}

/** The same for a ticket or a chat. Pure. */
export function runbookMarkdown({
  runbook,
  title,
  began,
  elapsedSeconds,
  impact,
  phases,
  update,
  contacts,
  paused,
  at,
}: RunbookReport): string {
  return [
    `# ${runbook}: ${title}`,
    `${moment(at)}, ${duration(elapsedSeconds)} ${sources[began.from]}`,
    ...(paused ? ['**Automatic failover is off: the cluster is paused.**'] : []),
    `Impact: ${impact.words}`,
    ...phases.map(
      ({ title: phase, steps }) =>
        `## ${phase}\n\n${steps.map(({ words, command, done }) => `- ${marks(done)} ${words}${command === null ? '' : `\n  \`${command}\``}`).join('\n')}`,
    ),
    `## Status update ${update.number}\n\n${update.text.replace(/^/gm, '> ')}`,
    ...(contacts.length === 0
      ? []
      : [
          `## Contacts\n\n${contacts.map(({ name, reach, dueAt, isDue }) => `- ${name}, ${reach}: ${isDue ? '**call now**' : `from ${moment(dueAt)}`}`).join('\n')}`,
        ]),
  ].join('\n\n');
}

/** Pure. */
export function runbooksView({ runbooks, impact }: RunbookList, style: Style): string {
  const rows = runbooks.map(({ name, title, needsCluster, fits }) => [
    fits === true ? style.bad('fits now') : '',
    name,
    `${title}${needsCluster ? style.dim(' (cluster)') : ''}`,
  ]);
  return `${impactLook(impact.severity, style)(impact.words)}\n\n${table(rows)}\n\nHINT: open one with \`dbkit runbook NAME\`, and keep it current with --follow`;
}
