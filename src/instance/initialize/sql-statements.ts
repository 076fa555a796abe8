/** A piece of a script: text in quotes and comments says nothing about where a statement ends. */
interface Piece {
  readonly kind: 'comment' | 'quoted' | 'word' | 'other';
  readonly text: string;
}

const OPENING =
  /--[^\n\r]*|\/\*|[eE]?'|"|\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|[\s\S]/y;
const COMMENT_EDGE = /\/\*|\*\//g;
const STRING_END = /[^']*(?:''[^']*)*(?:'|$)/y;
const ESCAPED_END = /[^'\\]*(?:(?:''|\\[\s\S])[^'\\]*)*(?:'|\\?$)/y;
const NAME_END = /[^"]*(?:""[^"]*)*(?:"|$)/y;
/** A string goes on where only white space with a line end, or comments, stand before the next quote (psqlscan.l, quotecontinue). */
const CONTINUED = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'/y;

const WORD = /^[A-Za-z_\u0080-\uffff]/;
/** CREATE [OR REPLACE] FUNCTION or PROCEDURE: their bodies may be statements of their own. */
const ROUTINE = /^create (or replace )?(function|procedure)\b/;

/**
 * Cuts a script into statements at the semicolons that stand outside quotes, dollar quotes, comments, parentheses (as in the actions of a rule) and
 * bodies between BEGIN ATOMIC and END, as psql does (psqlscan.l). For servers whose packages bring no psql; a script with psql's own commands (a
 * backslash at the start of a line) or COPY data is told apart by `needsPsql`.
 */
export function splitStatements(script: string): string[] {
  const statements: string[] = [];
  let [statement, firstWords, parentheses, blocks, isEmpty] = ['', '', 0, 0, true];
  for (const { kind, text } of piecesOf(script)) {
    if (text === ';' && parentheses === 0 && blocks === 0) {
      if (statement.trim()) statements.push(statement.trim());
      [statement, firstWords, isEmpty] = ['', '', true];
      continue;
    }
    statement += text;
    isEmpty &&= kind === 'comment' || text.trim() === '';
    if (text === '(') parentheses += 1;
    else if (text === ')') parentheses = Math.max(0, parentheses - 1);
    else if (kind === 'word') {
      const word = text.toLowerCase();
      if (firstWords.length < 40) firstWords += `${word} `;
      if (parentheses === 0 && ROUTINE.test(firstWords)) blocks = blocksBehind(word, blocks);
    }
  }
  if (!isEmpty) statements.push(statement.trim());
  return statements;
}

function blocksBehind(word: string, blocks: number): number {
  if (word === 'begin') return blocks + 1;
  if (word === 'case' && blocks > 0) return blocks + 1;
  return word === 'end' && blocks > 0 ? blocks - 1 : blocks;
}

/** True for scripts that only psql can run; text in quotes says nothing. */
export function needsPsql(script: string): boolean {
  const outside = [...piecesOf(script)].map(({ kind, text }) => (kind === 'comment' || kind === 'quoted' ? ' ' : text)).join('');
  return /^\\(?!\.$)\S/m.test(outside) || /\bCOPY\b[^;]*\bFROM\s+STDIN\b/i.test(outside);
}

/** Pure. The first line that psql would take a command of its own from, which it does wherever a backslash stands outside quotes and comments. */
export function psqlCommandIn(script: string): string | undefined {
  let line = 1;
  for (const { kind, text } of piecesOf(script)) {
    if (kind === 'other' && text === '\\') return script.split('\n')[line - 1];
    line += text.split('\n').length - 1;
  }
  return undefined;
}

/** Where something is not closed it goes on to the end: the server says so. */
function* piecesOf(script: string): Generator<Piece> {
  for (let at = 0; at < script.length; ) {
    const opening = matchAt(OPENING, script, at)!; // Its last branch matches any character.
    const from = at + opening.length;
    const [kind, end] = restOf(script, opening, from);
    yield { kind, text: script.slice(at, end) };
    at = end;
  }
}

function restOf(script: string, opening: string, from: number): [Piece['kind'], end: number] {
  if (opening.startsWith('--')) return ['comment', from];
  if (opening === '/*') return ['comment', endOfComment(script, from)];
  if (opening.endsWith("'")) return ['quoted', endOfString(script, opening.length === 1 ? STRING_END : ESCAPED_END, from)];
  if (opening === '"') return ['quoted', from + matchAt(NAME_END, script, from)!.length];
  if (/^\$.*\$$/s.test(opening)) {
    const closing = script.indexOf(opening, from);
    return ['quoted', closing < 0 ? script.length : closing + opening.length];
  }
  return [WORD.test(opening) ? 'word' : 'other', from];
}

/** Comments nest (SQL:1999; "Comments" in PostgreSQL's chapter on the lexical structure). */
function endOfComment(script: string, from: number): number {
  let depth = 1;
  COMMENT_EDGE.lastIndex = from;
  while (depth > 0) {
    const edge = COMMENT_EDGE.exec(script);
    if (edge === null) return script.length;
    depth += edge[0] === '/*' ? 1 : -1;
  }
  return COMMENT_EDGE.lastIndex;
}

function endOfString(script: string, ending: RegExp, from: number): number {
  for (let end = from; ; ) {
    end += matchAt(ending, script, end)!.length;
    const more = matchAt(CONTINUED, script, end);
    if (more === undefined || end >= script.length) return end;
    end += more.length;
  }
}

function matchAt(pattern: RegExp, script: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(script)?.[0];
}
