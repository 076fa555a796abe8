import { type Command, InvalidArgumentError, Option } from 'commander';
import type { RunbookList, RunbookReport } from '../incident/open-runbook.ts';
import type { Beginning } from '../incident/updates.ts';
import { DbkitError } from '../kernel/errors.ts';
import { DURATION, durationMs } from '../kernel/units.ts';
import { parseInstant } from '../restore/instant.ts';
import type { App } from './app.ts';
import type { Answer, Call, Cli } from './cli.ts';
import { drawn } from './output/printable.ts';
import { runbookMarkdown, runbooksView, runbookView } from './runbook-views.ts';

interface RunbookFlags {
  readonly since?: string;
  readonly follow?: boolean;
  readonly format?: 'markdown' | 'json';
}

const WHAT = `
A runbook is made from the present facts: what is known, what to type at each step, a status update for those who wait every 15 minutes, and who is
to be called (ha.contacts). It asks once and at the same time, 15 seconds in all, and works as far as it can with everything down. It changes
nothing. Without a name it lists the runbooks and says which of them look right now.`;

const FOLLOW_MS = 5_000;

/** '90m' before now, or a moment as --to takes it, in UTC where it names no zone. */
export const sinceArgument = (text: string): string => {
  if (DURATION.test(text)) return text;
  try {
    parseInstant(text, 'UTC');
    return text;
  } catch {
    throw new InvalidArgumentError("expected a time like '2026-01-13 14:02:10', or '30m' for half an hour ago.");
  }
};

export const sinceOf = (text: string, now: Date): Date =>
  DURATION.test(text) ? new Date(now.getTime() - durationMs(text)) : new Date(Number(parseInstant(text, 'UTC') / 1000n));

/** `dbkit runbook`: what to do now, step by step. */
export function registerRunbook(program: Command, cli: Cli): void {
  program
    .command('runbook')
    .description('say what to do now, step by step, with the facts filled in')
    .argument(
      '[name]',
      'primary-down, replication-lag, partition, replica-down, total-outage, database-corrupt, data-deleted, disk-full, point-in-time',
    )
    .addOption(
      new Option('--since <time>', 'when it began: a time (UTC unless it says a zone), or 30m; default: the alert').argParser(
        sinceArgument,
      ),
    )
    .option('--follow', 'keep it current until Ctrl-C: drawn again on a terminal, else one block for each change')
    .addOption(new Option('--format <format>', 'for a ticket, or for a program').choices(['markdown', 'json']))
    .addHelpText('after', WHAT)
    .addHelpText(
      'after',
      '\nExamples:\n  dbkit runbook\n  dbkit runbook primary-down --follow\n  dbkit runbook data-deleted --format markdown > ticket.md',
    )
    .action((name: string | undefined, flags: RunbookFlags, command: Command) =>
      cli.run<RunbookReport | RunbookList>(command, async (call) => {
        if (call.flags.json && (flags.follow || flags.format))
          throw new DbkitError('usage.invalid', '--json is one document: it goes without --follow and --format', {
            hint: '`--format json --follow` writes one document a line',
          });
        const app = await call.app();
        if (name === undefined) {
          const report = await app.incident.runbooks(call.signal);
          return { report, text: (style) => runbooksView(report, style) };
        }
        return flags.follow ? follow(app, name, flags, call) : once(app, name, flags, call);
      }),
    );
}

async function once(app: App, name: string, flags: RunbookFlags, { signal }: Call): Promise<Answer<RunbookReport>> {
  const report = await open(app, name, flags, openedNow(app), signal);
  return { report, text: (style) => (flags.format === undefined ? runbookView(report, style) : formatted(report, flags.format)) };
}

const openedNow = ({ clock }: App): Beginning => ({ at: clock.now().toISOString(), from: 'opened' });

const open = (app: App, name: string, { since }: RunbookFlags, otherwise: Beginning, signal: AbortSignal): Promise<RunbookReport> =>
  app.incident.runbook({ name, since: since === undefined ? undefined : sinceOf(since, new Date(otherwise.at)), otherwise }, signal);

const formatted = (report: RunbookReport, format: 'markdown' | 'json'): string =>
  format === 'json' ? JSON.stringify(report) : runbookMarkdown(report);

/** Everything but the clock: another block is written when it differs. Pure. */
export const changing = ({ impact, phases, update, contacts, paused }: RunbookReport): string =>
  JSON.stringify({ impact: impact.id, phases, paused, update: update.number, due: contacts.filter(({ isDue }) => isDue).length });

async function follow(
  app: App,
  name: string,
  flags: RunbookFlags,
  { signal, surroundings: { terminal }, style }: Call,
): Promise<Answer<RunbookReport>> {
  const opened = openedNow(app);
  const draws = terminal.stdout && flags.format === undefined;
  let last = await open(app, name, flags, opened, signal);
  let shown: string | undefined;
  const show = (report: RunbookReport): void => {
    const text = flags.format === undefined ? drawn(style, (look) => runbookView(report, look)) : formatted(report, flags.format);
    if (draws) terminal.writeOut(`\u001b[H\u001b[2J${text}\n\n${style.dim('asked again every 5 s; Ctrl-C ends this')}\n`);
    else if (shown !== changing(report)) terminal.writeOut(`${text}\n${flags.format === 'json' ? '' : '\n'}`);
    shown = changing(report);
  };
  show(last);
  try {
    for (;;) {
      await app.clock.sleep(FOLLOW_MS, signal);
      last = await open(app, name, flags, flags.since === undefined ? last.began : opened, signal); // The timer goes on when the trouble is over.
      show(last);
    }
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
  return { report: last, text: () => '' };
}
