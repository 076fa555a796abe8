import type { Command } from 'commander';
import type { CopiesReport } from '../backups/offsite/survey.ts';
import { bytes, counted, roughly } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';

const RULE = `
The rule: three copies (the data counts as one), on two media, one of them on another machine. Each place is asked now; \`dbkit health\` judges the
copies by what this machine has noted of them.`;

/** `dbkit copies`: where the data is, and how many disasters that outlives. */
export function registerCopiesOverview(program: Command, cli: Cli): void {
  program
    .command('copies')
    .description('show where the data and its backups are: 3-2-1, and how fresh each place is')
    .addHelpText('after', RULE)
    .addHelpText('after', '\nExamples:\n  dbkit copies\n  dbkit copies --json')
    .action((_flags: object, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.backups.survey(signal);
        return { report, text: (style) => copiesView(report, style, app.clock.now()) };
      }),
    );
}

/** Pure. */
export function copiesView({ score, ok, advice, places }: CopiesReport, style: Style, now: Date): string {
  const ago = (iso: string): string => `${roughly(Math.max(0, (now.getTime() - Date.parse(iso)) / 1000))} ago`;
  const rows = places.map(({ name, place, role, medium, offHost, isEncrypted, backups, newest, holds, problem, wal }) => [
    style.strong(name),
    problem !== null ? style.bad('not known') : role === 'data' ? (holds ? 'there' : style.warn('none')) : counted(backups, 'backup'),
    newest === null
      ? ''
      : `${newest.label}, ${ago(newest.createdAt)}, ${newest.verifiedAt === null ? 'not verified' : `verified ${ago(newest.verifiedAt)}`}`,
    wal === null
      ? ''
      : wal.failing !== null
        ? style.bad(`not sent for ${roughly(wal.seconds)}`)
        : wal.seconds === 0
          ? 'all of it'
          : `${bytes(wal.bytes)}, ${roughly(wal.seconds)} behind`,
    [medium ?? '', offHost ? 'on another machine' : '', isEncrypted ? 'encrypted' : ''].filter(Boolean).join(', '),
    problem ?? place,
  ]);
  const figures = `${counted(score.copies, 'copy').replace('copys', 'copies')}, ${score.media} ${score.media === 1 ? 'medium' : 'media'}, ${score.offHost} on another machine`;
  return [
    `${ok ? style.good('3-2-1') : style.warn('not 3-2-1')}: ${figures}`,
    table(rows, ['place', 'holds', 'newest', 'WAL', 'medium', 'where'].map(style.dim)),
    ...(advice.length > 0 ? [advice.map(({ because, next }) => `${style.warn(because)}; ${next}`).join('\n')] : []),
  ].join('\n\n');
}
