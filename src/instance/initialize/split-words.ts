/** Splits a line of arguments as a shell would, quotes and backslashes understood, with nothing expanded and no shell run. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  const pattern = /\s*((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+)/gy;
  for (let match = pattern.exec(line); match; match = pattern.exec(line)) {
    words.push(
      match[1]!.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g, (_, double?: string, single?: string, escaped?: string) =>
        double !== undefined ? double.replace(/\\(["\\$`])/g, '$1') : (single ?? escaped ?? ''),
      ),
    );
  }
  return words;
}
