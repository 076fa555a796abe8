const CONTEXT = 2;

/** Both texts by lines: '  same', '- gone', '+ new', with two lines around each change and '…' between. Empty where nothing differs. */
export function lineDiff(before: string, after: string): string[] {
  const [from, to] = [before.split(/\r?\n/), after.split(/\r?\n/)];
  const rows = walk(from, to, longest(from, to));
  const near = rows.map((_row, index) =>
    rows.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some((row) => !row.startsWith('  ')),
  );
  return rows
    .flatMap((row, index) => (near[index] ? [row] : near[index - 1] ? ['…'] : []))
    .filter((row, index, all) => row !== '…' || index < all.length - 1);
}

/** A setting that is called so, but is no name of a file or of a variable; or the password of an address. */
const SECRET = /((?:password|passwd|secret|token)\w*(?<!_file)["']?\s*[:=]\s*["']?)(?!["'\s$])[^"']+|(:\/\/[^\s:/@]*:)[^\s@]+(?=@)/gi;

/** Pure. A line of a compose file as others may read it, in a log of CI as well. */
export const withoutSecret = (line: string): string =>
  line.replace(SECRET, (_all, setting?: string, address?: string) => `${setting ?? address}[secret]`);

/** Lengths of the longest common subsequences of what is left from each pair of lines on. */
function longest(from: readonly string[], to: readonly string[]): number[][] {
  const table = Array.from({ length: from.length + 1 }, () => new Array<number>(to.length + 1).fill(0));
  for (let i = from.length - 1; i >= 0; i--)
    for (let j = to.length - 1; j >= 0; j--)
      table[i]![j] = from[i] === to[j] ? table[i + 1]![j + 1]! + 1 : Math.max(table[i + 1]![j]!, table[i]![j + 1]!);
  return table;
}

function walk(from: readonly string[], to: readonly string[], table: readonly (readonly number[])[]): string[] {
  const rows: string[] = [];
  for (let i = 0, j = 0; i < from.length || j < to.length; ) {
    if (i < from.length && j < to.length && from[i] === to[j]) {
      rows.push(`  ${from[i]}`);
      i++;
      j++;
    } else if (i < from.length && (j === to.length || table[i + 1]![j]! >= table[i]![j + 1]!)) rows.push(`- ${from[i++]}`);
    else rows.push(`+ ${to[j++]}`);
  }
  return rows;
}
