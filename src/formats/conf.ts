import { join } from 'node:path';
import { readPlainText } from '../machine/plain-file.ts';

export interface ParsedConf {
  /** Names in lower case; the last one wins, as in the server. */
  readonly settings: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

const LINE = /^\s*(?:([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*)(?:\s*=\s*|\s+)('(?:[^'\\\n]|\\.|'')*'|[^\s#']+))?\s*(?:#.*)?$/;
const PROBLEMS_MAX = 5;

/** postgresql.conf and postgresql.auto.conf, by the rules of guc-file.l: one `name = value` a line, comments, quoted values, includes. */
export function parseConf(text: string): ParsedConf {
  const settings = new Map<string, string>();
  const problems: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue; // Nearly all of the sample, and every start reads it.
    const match = LINE.exec(line.replace(/\r$/, ''));
    if (!match || /[\0]/.test(line)) {
      problems.push(`line ${index + 1}: ${nameIn(line)}`);
      if (problems.length >= PROBLEMS_MAX) break;
      continue;
    }
    const [, name, value] = match;
    if (name !== undefined && value !== undefined) settings.set(name.toLowerCase(), unquote(value));
  }
  return { settings, problems };
}

/** A line may hold a password, and a link may lead to any file: its setting is named, its text never shown. */
function nameIn(line: string): string {
  const name = /^\s*([a-z][a-z0-9_.]{0,62})\s*=/.exec(line)?.[1];
  return name === undefined ? 'it is no setting' : `the value of ${name} cannot be read`;
}

const unquote = (value: string): string =>
  value.startsWith("'") ? value.slice(1, -1).replaceAll("''", "'").replace(/\\(.)/g, '$1') : value;

const connectionTypes = /^(local|host|hostssl|hostnossl|hostgssenc|hostnogssenc|include|include_if_exists|include_dir)$/;
const methods = /^(trust|reject|scram-sha-256|md5|password|gss|sspi|ident|peer|ldap|radius|cert|pam|bsd|oauth)$/;

/** pg_hba.conf: each record begins with a known type, has enough fields and names a known method (hba.c). */
export function parseHba(text: string): { readonly records: number; readonly problems: readonly string[] } {
  const problems: string[] = [];
  let records = 0;
  for (const { line, fields } of recordsOf(text)) {
    const [type] = fields;
    if (type === undefined || !connectionTypes.test(type)) problems.push(`line ${line}: it begins with no type of record (local, host, …)`);
    else if (!type.startsWith('include')) {
      records += 1;
      const method = fields.find((field) => methods.test(field));
      if (fields.length < (type === 'local' ? 4 : 5) || method === undefined) problems.push(`line ${line}: no authentication method`);
    }
  }
  return { records, problems: problems.slice(0, PROBLEMS_MAX) };
}

/** pg_ident.conf: map name, system user, database user. */
export function parseIdent(text: string): { readonly problems: readonly string[] } {
  const bad = recordsOf(text).filter(({ fields }) => fields.length < 3 && !fields[0]?.startsWith('include'));
  return {
    problems: bad.slice(0, PROBLEMS_MAX).map(({ line }) => `line ${line}: it has fewer than three fields`),
  };
}

/** The tokens of each line that is no comment; a quoted token may hold blanks, and a backslash continues the line. */
function recordsOf(text: string): { line: number; fields: string[] }[] {
  return text
    .replace(/\\\r?\n/g, ' ')
    .split('\n')
    .map((raw, index) => ({
      line: index + 1,
      fields: [...raw.matchAll(/"((?:[^"]|"")*)"|([^\s",#]+|,)|#.*/g)].filter(([token]) => !token.startsWith('#')).map(([token]) => token),
    }))
    .filter(({ fields }) => fields.length > 0);
}

/** A setting as the files in PGDATA give it: ALTER SYSTEM's file wins. Includes are not followed. */
export async function settingOf(dataDir: string, name: string): Promise<string | undefined> {
  for (const file of ['postgresql.auto.conf', 'postgresql.conf']) {
    const value = parseConf(await readPlainText(join(dataDir, file)).catch(() => '')).settings.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}
