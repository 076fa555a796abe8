import type { Command } from 'commander';
import type { RowsChange, SchemaChange } from '../backups/snapshots/compare.ts';
import type { DiffReport } from '../backups/snapshots/contract.ts';
import { moment } from '../kernel/units.ts';
import type { Cli } from './cli.ts';
import type { Style } from './output/style.ts';
import { table } from './output/table.ts';
import { DATABASE_FLAG, databaseOf, type SnapshotFlags } from './snapshot-database.ts';

export function registerSnapshotDiff(snapshot: Command, cli: Cli): void {
  snapshot
    .command('diff')
    .description('compare the database with a snapshot: its schema, and the rows of each table')
    .argument('<name>', 'the name of the snapshot')
    .option(...DATABASE_FLAG)
    .addHelpText(
      'after',
      '\nRows are counted, not compared. Not read: operator classes, collations, conversions, text search, languages, user mappings.\nWith --json each object comes with its definition before and after.\n\nExample:\n  dbkit snapshot diff before-migration',
    )
    .action((name: string, flags: SnapshotFlags, command: Command) =>
      cli.run(command, async ({ app: open, signal }) => {
        const app = await open();
        const report = await app.snapshots.diff({ database: databaseOf(flags, app.config), name }, signal);
        return { report, text: (style) => diffView(report, style) };
      }),
    );
}

export function diffView({ name, database, at, same, schema, rows, tables }: DiffReport, style: Style): string {
  const since = `${name}, ${moment(at)}`;
  if (same) return `${database} is as it was in ${since}: the same schema, and as many rows in each of ${tables} tables`;
  return [
    `${database} since ${since}:`,
    ...(schema.length === 0 ? ['the schema is the same'] : [table(shown(schema).map((one) => changeRow(one, style)))]),
    ...(rows.length === 0 ? ['every table has as many rows as before'] : [table(rows.map(countRow), ['TABLE', 'ROWS BEFORE', 'ROWS NOW'])]),
  ].join('\n\n');
}

/** Parts of a table that came or went is told with it. */
function shown(schema: readonly SchemaChange[]): readonly SchemaChange[] {
  const whole = new Set(schema.flatMap(({ kind, name, change }) => (kind === 'table' && change !== 'changed' ? [name] : [])));
  return schema.filter(({ table: of }) => of === null || !whole.has(of));
}

const WIDTH_MAX = 60;

function changeRow({ kind, name, change, before, after }: SchemaChange, style: Style): string[] {
  const sign = { added: style.good('+'), removed: style.bad('-'), changed: style.warn('~') }[change];
  const short = (text: string | null): boolean => text !== null && text !== '' && text.length <= WIDTH_MAX && !text.includes('\n');
  const detail =
    change === 'changed' && short(before) && short(after) ? `${before} → ${after}` : change === 'added' && short(after) ? after! : '';
  return [sign, kind, name, kind === 'table' && change === 'added' ? '' : detail];
}

const countRow = ({ table: name, before, after }: RowsChange): string[] => [name, String(before ?? '-'), String(after ?? '-')];
