import type { SqlResult } from '../../instance/connection.ts';
import { printable } from './printable.ts';
import type { Style } from './style.ts';
import { table } from './table.ts';

/** Results as a person reads them: rows as a table with their count, else the command's tag. */
export function resultsView(results: readonly SqlResult[], style: Style): string {
  return results.map((result) => resultView(result, style)).join('\n\n');
}

function resultView({ command, rowCount, columns, rows }: SqlResult, style: Style): string {
  if (columns.length === 0) return rowCount === null ? command : `${command} ${rowCount}`;
  const cells = rows.map((row) => row.map((cell) => (cell === null ? style.dim('∅') : printable(cell))));
  return `${table(
    cells,
    columns.map((name) => style.strong(printable(name))),
  )}\n${style.dim(`(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})`)}`;
}

const quoted = (cell: string): string => (/[",\n\r]/.test(cell) || cell === '' ? `"${cell.replaceAll('"', '""')}"` : cell);

/** CSV with a header (RFC 4180); NULL is empty, an empty text is `""`, as COPY writes them. Results without rows are left out. */
export const resultsCsv = (results: readonly SqlResult[]): string =>
  results
    .filter(({ columns }) => columns.length > 0)
    .map(({ columns, rows }) =>
      [columns.map(quoted), ...rows.map((row) => row.map((cell) => (cell === null ? '' : quoted(cell))))]
        .map((row) => row.join(','))
        .join('\n'),
    )
    .join('\n\n');
