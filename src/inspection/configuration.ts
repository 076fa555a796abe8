import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConf, parseHba, parseIdent } from '../formats/conf.ts';
import type { Finding } from './findings.ts';
import type { Walk } from './walk.ts';

const emptyIsFine = new Set(['postgresql.auto.conf', 'pg_ident.conf']);
const mayBeMissing = new Set(['postgresql.auto.conf']);

/** The four configuration files in PGDATA: present, not empty, parsed. Those that are kept elsewhere are not looked for. */
export function inspectConfiguration(dataDir: string, { entries, configFile }: Walk): Finding[] {
  const read = (path: string): string | undefined =>
    entries.get(path)?.kind === 'directory' || !entries.has(path) ? undefined : readText(join(dataDir, path));
  const main = read('postgresql.conf');
  const { settings } = parseConf(main ?? '');
  const beside = [...(settings.has('hba_file') ? [] : ['pg_hba.conf']), ...(settings.has('ident_file') ? [] : ['pg_ident.conf'])];
  const files = ['postgresql.auto.conf', ...(configFile === undefined ? ['postgresql.conf', ...beside] : [])];
  return files.flatMap((path): Finding[] => {
    const text = read(path);
    if (text === undefined) {
      if (mayBeMissing.has(path)) return [];
      const says =
        path === 'postgresql.conf'
          ? `could not access the server configuration file "${path}": No such file or directory`
          : `could not load ${path}`;
      return [{ code: 'conf.missing', path, evidence: 'the file is missing', severity: 'certain', postgresSays: says }];
    }
    const problem = problemOf(path, text);
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
  });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
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
