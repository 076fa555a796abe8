const TOKEN =
  /--[^\n]*|\/\*[\s\S]*?\*\/|[eE]'(?:\\[\s\S]|''|[^'\\])*'|'(?:''|[^'])*'|"(?:""|[^"])*"|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S]/g;
const WORD = /^[A-Za-z_]/;
/** CREATE [OR REPLACE] FUNCTION or PROCEDURE: their bodies may be statements of their own. */
const ROUTINE = /^create (or replace )?(function|procedure)\b/;

/**
 * Cuts a script into statements at the semicolons that stand outside quotes, dollar quotes, comments, parentheses (as in the actions of a rule) and
 * bodies between BEGIN ATOMIC and END, as psql does (psqlscan.l). For servers whose packages bring no psql; a script with psql's own commands (a
 * backslash at the start of a line) or COPY data is told apart by `needsPsql`.
 */
export function splitStatements(script: string): string[] {
  const statements: string[] = [];
  let [statement, firstWords, parentheses, blocks] = ['', '', 0, 0];
  for (const [text] of script.matchAll(TOKEN)) {
    if (text === ';' && parentheses <= 0 && blocks === 0) {
      if (statement.trim()) statements.push(statement.trim());
      [statement, firstWords, parentheses] = ['', '', 0];
      continue;
    }
    statement += text;
    if (text === '(') parentheses += 1;
    else if (text === ')') parentheses -= 1;
    else if (WORD.test(text) && !/['"]$/.test(text)) {
      const word = text.toLowerCase();
      if (firstWords.length < 40) firstWords += `${word} `;
      if (parentheses === 0 && ROUTINE.test(firstWords)) blocks = blocksBehind(word, blocks);
    }
  }
  if (statement.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, '').trim()) statements.push(statement.trim());
  return statements;
}

function blocksBehind(word: string, blocks: number): number {
  if (word === 'begin') return blocks + 1;
  if (word === 'case' && blocks > 0) return blocks + 1;
  return word === 'end' && blocks > 0 ? blocks - 1 : blocks;
}

const QUOTED = /^(--|\/\*|[eE]?'.|".|\$.*\$$)/s;

/** True for scripts that only psql can run; text in quotes says nothing. */
export function needsPsql(script: string): boolean {
  const outside = script.replace(TOKEN, (text) => (text.length > 1 && QUOTED.test(text) ? ' ' : text));
  return /^\\(?!\.$)\S/m.test(outside) || /\bCOPY\b[^;]*\bFROM\s+STDIN\b/i.test(outside);
}
