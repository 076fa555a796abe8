import { page, table } from './pages.ts';
import { reasons, tables } from './reasons.ts';

/** docs/REASONS.md: every id that a report, an alert or a log may name. */
export function reasonsPage(): string {
  const all = reasons();
  const sections = [...Object.keys(tables), 'Failures'].map((name) => {
    const rows = all.filter((reason) => reason.table === name);
    const columns = [
      { head: 'id', cell: ({ id }: (typeof rows)[number]) => `\`${id}\`` },
      { head: 'meaning', cell: ({ words }: (typeof rows)[number]) => words },
      { head: 'dbkit then', cell: ({ then }: (typeof rows)[number]) => then ?? '' },
      { head: 'what to do', cell: ({ next }: (typeof rows)[number]) => next ?? '' },
      { head: 'exit status', cell: ({ exit }: (typeof rows)[number]) => String(exit ?? '') },
    ].filter(({ cell }) => rows.some((row) => cell(row) !== ''));
    return `## ${name}\n\n${table(
      columns.map(({ head }) => head),
      rows.map((row) => columns.map(({ cell }) => cell(row))),
    )}`;
  });
  return page(
    'Reasons',
    'Decisions are tables: the first row that matches decides, and its id stays the same, whatever its words become. Reports (`--json`) carry the id as `reason`. `dbkit explain ID` prints one of them. `{name}` stands for a figure.',
    ...sections,
  );
}
