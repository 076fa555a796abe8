import { type Command, Option } from 'commander';
import type { StoryList, StoryReport } from '../incident/report-incident.ts';
import { counted, duration, moment } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import { wholeNumber } from './history.ts';
import { judgedWords } from './incident.ts';
import { table } from './output/table.ts';
import { sinceArgument, sinceOf } from './runbook.ts';

interface ReportFlags {
  readonly since?: string;
  readonly incident: number;
  readonly list?: boolean;
}

const WHAT = `
It joins the alerts, the recoveries, the memory of the monitor and the history of the cluster: timeline, impact, RTO and RPO as they were measured,
and what would make the next one smaller. Troubles that are less than 30 minutes apart are one incident. The memories hold the last 500 alerts, 100
recoveries and 200 events of the monitor of this machine. Markdown, or JSON with --json.`;

/** `dbkit report incident`: what happened, for those who were not there. */
export function registerReport(program: Command, cli: Cli): void {
  const report = program.command('report').description('write down what happened');
  report
    .command('incident')
    .description('write the report of an incident in Markdown: timeline, impact, RTO and RPO, what to prevent')
    .addOption(new Option('--since <time>', 'everything since then: a time (UTC unless it says a zone), or 2h').argParser(sinceArgument))
    .option('--incident <number>', 'its number in --list; 1 is the newest', wholeNumber, 1)
    .option('--list', 'list the incidents that are remembered')
    .addHelpText('after', WHAT)
    .addHelpText(
      'after',
      '\nExamples:\n  dbkit report incident > incident.md\n  dbkit report incident --list\n  dbkit report incident --since 2h --json',
    )
    .action(({ since, incident, list }: ReportFlags, command: Command) =>
      cli.run<StoryReport | StoryList>(command, async ({ app: open, signal }) => {
        const app = await open();
        if (list) {
          const found = await app.incident.stories(signal);
          return { report: found, text: () => listView(found) };
        }
        const wish = { number: incident, since: since === undefined ? undefined : sinceOf(since, app.clock.now()) };
        const found = await app.incident.story(wish, signal);
        return { report: found, text: () => storyMarkdown(found) };
      }),
    );
}

function listView({ incidents }: StoryList): string {
  if (incidents.length === 0) return 'no incident is remembered here';
  const rows = incidents.map(({ number, beganAt, endedAt, first, entries }) => [
    String(number),
    moment(beganAt),
    endedAt === null ? 'goes on' : duration((Date.parse(endedAt) - Date.parse(beganAt)) / 1000),
    counted(entries, 'entry').replace(/entrys$/, 'entries'),
    first,
  ]);
  return table(rows, ['', 'BEGAN', 'TOOK', 'KNOWN', 'FIRST']);
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const lostWords = { nothing: 'nothing', unknown: 'not known', something: 'rows were lost; the timeline says which' } as const;

/** Pure. */
export function storyMarkdown({
  number,
  beganAt,
  endedAt,
  durationSeconds,
  timeline,
  impact,
  tier,
  rto,
  rpo,
  prevent,
}: StoryReport): string {
  const rows = [
    ['began', moment(beganAt)],
    ['ended', endedAt === null ? 'it goes on' : moment(endedAt)],
    ['took', duration(durationSeconds)],
    ['recoveries', String(impact.recoveries)],
    ['changes of leader', String(impact.leaderChanges)],
    ['health', impact.samples === 0 ? 'not measured' : `critical in ${impact.criticalSamples} of ${counted(impact.samples, 'sample')}`],
    ['lost', impact.lost === null ? 'nothing was recovered, so nothing was measured' : lostWords[impact.lost]],
    ['tier', tier ?? 'none is set (`tier` in dbkit.yaml)'],
    ['RTO', judgedWords(rto, '**missed**')],
    ['RPO', judgedWords(rpo, '**missed**')],
  ];
  const events = timeline.map(({ at, source, words }) => `| ${moment(at)} | ${source} | ${cell(words)} |`);
  const steps = prevent.map(({ words, next }) => `- [ ] ${words}${next === null ? '' : `: ${next}`}`);
  return [
    `# Incident${number === null ? '' : ` ${number}`} of ${moment(beganAt)}`,
    `## Impact\n\n| | |\n|---|---|\n${rows.map(([name, value]) => `| ${name} | ${cell(value!)} |`).join('\n')}`,
    `## Timeline\n\n${events.length === 0 ? 'nothing is remembered' : `| when | told by | what |\n|---|---|---|\n${events.join('\n')}`}`,
    `## What to prevent\n\n${steps.join('\n') || 'nothing that is known of'}`,
    '## By a person\n\n- cause:\n- what went well:\n- what was hard:',
  ].join('\n\n');
}
