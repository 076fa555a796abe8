import type { Command } from 'commander';
import { nearest } from '../kernel/closest-name.ts';
import { DbkitError } from '../kernel/errors.ts';
import { exitStatuses } from '../kernel/exit-statuses.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { type Reason, reasons } from './reasons.ts';

export function registerExplain(program: Command, cli: Cli): void {
  program
    .command('explain')
    .argument('[id]', 'the id of a reason, a finding or a failure; none: list them all')
    .description('explain an id of a report, and what to do about it')
    .addHelpText('after', '\nExamples:\n  dbkit explain replaced-too-often\n  dbkit explain data.corrupt --json')
    .action((id: string | undefined, _flags: object, command: Command) =>
      cli.run(command, async () => {
        const found = id === undefined ? reasons() : reasonsNamed(id);
        return {
          report: { reasons: found },
          text: (style) => (id === undefined ? list(found) : found.map((one) => pageOf(one, style)).join('\n\n')),
        };
      }),
    );
}

/** Rejects with `usage.invalid` when nothing bears this id. */
function reasonsNamed(id: string): Reason[] {
  const all = reasons();
  const found = all.filter((reason) => reason.id === id);
  if (found.length > 0) return found;
  const close = nearest(
    id,
    all.map((reason) => reason.id),
  );
  throw new DbkitError('usage.invalid', `there is no reason '${id}'`, {
    hint: close ? `did you mean \`dbkit explain ${close}\`?` : '`dbkit explain` lists all of them',
  });
}

const list = (found: readonly Reason[]): string => table(found.map(({ id, words }) => [id, words]));

function pageOf({ id, table: where, words, then, next, failure, exit }: Reason, style: Style): string {
  const rows = [
    ['meaning', words],
    ['table', where],
    ...(then === null ? [] : [['dbkit then', then]]),
    ...(next === null ? [] : [['what to do', next]]),
    ...(exit === null ? [] : [['exit status', `${exit} ${exitStatuses[exit]} (${failure})`]]),
  ];
  return `${style.strong(id)}\n${table(rows)}`;
}
