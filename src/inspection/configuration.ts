import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { parseConf, parseHba, parseIdent } from '../formats/conf.ts';
import { readPlainSync } from '../machine/plain-file.ts';
import type { Finding } from './findings.ts';
import type { Walk } from './walk.ts';

const emptyIsFine = new Set(['pg_ident.conf']);

/** The four configuration files in PGDATA: present, not empty, parsed. Those that are kept elsewhere are not looked for. */
export function inspectConfiguration(dataDir: string, { entries, configFile }: Walk, stateDir?: string): Finding[] {
  const read = (path: string): string | undefined =>
    entries.get(path)?.kind === 'directory' || !entries.has(path) ? undefined : readText(join(dataDir, path));
  const main = read('postgresql.conf');
  const { settings } = parseConf(main ?? '');
  const beside = [...(settings.has('hba_file') ? [] : ['pg_hba.conf']), ...(settings.has('ident_file') ? [] : ['pg_ident.conf'])];
  const files = ['postgresql.auto.conf', ...(configFile === undefined ? ['postgresql.conf', ...beside] : [])];
  const elsewhere = configFile === undefined ? servesElsewhere(dataDir, settings.get('data_directory')) : [];
  return [...elsewhere, ...files.flatMap(judge)];

  function judge(path: string): Finding[] {
    const text = read(path);
    if (path === ALTER_SYSTEM && (text ?? '').trim() === '') return lostSettings(stateDir, text === undefined);
    if (text === undefined) {
      const says =
        path === 'postgresql.conf'
          ? `could not access the server configuration file "${path}": No such file or directory`
          : `could not load ${path}`;
      return [{ code: 'conf.missing', path, evidence: 'the file is missing', severity: 'certain', postgresSays: says }];
    }
    const problem = problemOf(path, text) ?? lostWrite(stateDir, path, text);
    return problem === undefined
      ? []
      : [
          {
            code: 'conf.broken',
            path,
            evidence: problem,
            severity: 'certain',
            postgresSays: path.startsWith('postgresql') ? `configuration file "${path}" contains errors` : `could not load ${path}`,
          },
        ];
  }
}

const ALTER_SYSTEM = 'postgresql.auto.conf';

/** The server always writes two lines of comments into it: where it is empty or gone, what ALTER SYSTEM had set is lost, as dbkit's copies know. */
function lostSettings(stateDir: string | undefined, isGone: boolean): Finding[] {
  if (stateDir === undefined) return []; // Of a running server: it has read its settings.
  const copies = ['kept', 'started'].map((folder) => readText(join(stateDir, folder, ALTER_SYSTEM)) ?? '');
  const set = copies.map((text) => [...parseConf(text).settings.keys()]).find((names) => names.length > 0);
  if (set === undefined) return [];
  const evidence = `it is ${isGone ? 'gone' : 'empty'}, and had set ${set.slice(0, 5).join(', ')}${set.length > 5 ? ', …' : ''}`;
  return [{ code: isGone ? 'conf.missing' : 'conf.broken', path: ALTER_SYSTEM, evidence, severity: 'certain' }];
}

/** The server reads over zeroes, and over the lines that they took. Told where a copy of dbkit's knows those: else the lines that are left are worth more. */
function lostWrite(stateDir: string | undefined, path: string, text: string): string | undefined {
  if (stateDir === undefined || !text.includes('\0')) return undefined;
  const copies = ['kept', 'started'].map((folder) => readText(join(stateDir, folder, path)));
  return copies.some((copy) => copy !== undefined && !copy.includes('\0')) ? 'it holds zeroes, as a lost write leaves them' : undefined;
}

/** data_directory in the file wins over the -D that the server is started with (guc.c, SelectConfigFiles). */
function servesElsewhere(dataDir: string, named: string | undefined): Finding[] {
  if (named === undefined || real(named) === real(dataDir)) return [];
  const evidence = `data_directory = '${named}': with it the server serves that directory, and not ${dataDir}`;
  return [{ code: 'conf.elsewhere', path: 'postgresql.conf', evidence, severity: 'certain' }];
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // It is not there: it is elsewhere all the same.
  }
}

function readText(path: string): string | undefined {
  try {
    return readPlainSync(path).toString();
  } catch {
    return undefined; // The permission check names what this user may not read.
  }
}

function problemOf(path: string, text: string): string | undefined {
  if (text.trim() === '') return emptyIsFine.has(path) ? undefined : 'the file is empty';
  if (path === 'pg_hba.conf') {
    const { records, problems } = parseHba(text);
    return problems[0] ?? (records === 0 ? 'it lets nobody in: it has no record' : undefined);
  }
  return (path === 'pg_ident.conf' ? parseIdent(text) : parseConf(text)).problems[0];
}
