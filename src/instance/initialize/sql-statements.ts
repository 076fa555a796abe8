/**
 * Cuts a script into statements at the semicolons that stand outside quotes, dollar quotes and comments. For servers whose packages bring
 * no psql; a script with psql's own commands (a backslash at the start of a line) or COPY data is told apart by `needsPsql`.
 */
export function splitStatements(script: string): string[] {
  const token =
    /--[^\n]*|\/\*[\s\S]*?\*\/|[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*'|"(?:""|[^"])*"|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|;|[^-/eE'"$;]+|[\s\S]/g;
  const statements: string[] = [];
  let statement = '';
  for (const [text] of script.matchAll(token)) {
    if (text !== ';') statement += text;
    else {
      if (statement.trim()) statements.push(statement.trim());
      statement = '';
    }
  }
  if (statement.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, '').trim()) statements.push(statement.trim());
  return statements;
}

/** True for scripts that only psql can run. */
export const needsPsql = (script: string): boolean => /^\\(?!\.$)\S/m.test(script) || /\bCOPY\b[^;]*\bFROM\s+STDIN\b/i.test(script);
