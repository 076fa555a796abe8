import { join, relative } from 'node:path';
import { settingOf } from '../formats/conf.ts';
import { fileOfSystemIndex, mappedRelation } from '../formats/system-indexes.ts';
import type { Finding, FindingCode } from '../inspection/findings.ts';
import type { Inspection } from '../inspection/inspect.ts';
import { madeAnew } from '../inspection/recreated-files.ts';
import { isCatalogIndex } from '../inspection/relations.ts';
import { walk } from '../inspection/walk.ts';
import type { Local } from '../instance/local.ts';
import { checkDatabases, type DatabaseQuestions, type Silence } from '../instance/server/databases.ts';
import type { LostRelation } from '../instance/server/lost-files.ts';
import type { Launch } from '../instance/server/server.ts';
import { collectorLines } from '../instance/server/server-log.ts';
import { dataFileIn, saidIn, tellTrouble } from '../instance/session-trouble.ts';
import { DbkitError, errnoOf } from '../kernel/errors.ts';
import { readPlainSync } from '../machine/plain-file.ts';
import { type Meaning, triage } from '../recovery/triage.ts';
import { rebuildIndex } from './rebuild-index.ts';

/**
 * The complaints of a server that did not come up, as findings. Empty: nothing that dbkit knows, so waiting and trying again is all there
 * is. Rejects with the refusal when it says that nothing is wrong with the data (a port, a setting, a full volume).
 */
export async function complaintsOf(local: Local, launched: Exclude<Launch, { kind: 'serving' }>): Promise<Finding[]> {
  const lines = [...launched.lines];
  if (lines.some((line) => /redirecting log output to logging collector/.test(line))) {
    const directory = (await settingOf(local.volume.dataDir, 'log_directory')) ?? 'log';
    lines.push(...(await collectorLines(local.volume.dataDir, directory, local.system.clock.now().getTime() - 60_000)));
  }
  return (await meaningToFindings(local, triage(lines))).map((finding) =>
    finding.code === 'conf.broken' ? { ...finding, evidence: reasonBefore(lines, finding.postgresSays) ?? finding.evidence } : finding,
  );
}

/** That a file contains errors is all the last line says; the one before it says which. */
function reasonBefore(lines: readonly string[], said: string | undefined): string | undefined {
  if (said === undefined || !/contains errors/.test(said)) return undefined;
  const before = lines.slice(0, lines.indexOf(said)).findLast((line) => /LOG:\s/.test(line));
  return before && `${wordsOfLine(before)} (${wordsOfLine(said)})`;
}

export interface Examination {
  readonly complaints: readonly Finding[];
  readonly rebuilt: readonly Finding[];
  /** Databases of which nothing is known: they may be asked again. */
  readonly unknown: readonly Silence[];
  /** Every database that takes sessions answered from its catalogs. */
  readonly answering: boolean;
}

/**
 * Asks every database of a server that accepts connections. Damaged indexes of the user's are rebuilt on the way. What was not answered is told, and
 * nothing follows from it: a server that lets dbkit in less easily than expected is not damaged.
 */
export async function examine(local: Local, before: Inspection, questions: DatabaseQuestions, signal: AbortSignal): Promise<Examination> {
  const check = await checkDatabases(local, { madeAnew: madeAnew(local.volume.dataDir, before, signal), ...questions }, signal);
  const { closed, lost } = check;
  local.system.trace('databases.asked');
  const { log } = local.system;
  const refusals = check.silent.flatMap((silence) => refusalIn(silence) ?? []);
  if (check.databases === 0 && refusals[0]) throw refusals[0].failure;
  for (const { database, failure } of refusals)
    log.error('database.refused', `database ${database} accepts no connections: ${failure.message}; the others are served`, {
      hint: failure.hint,
    });
  const answers = check.silent.filter((silence) => refusalIn(silence) === undefined);
  const withheld = answers.filter((silence) => isWithheld(local, silence));
  const silent = answers.filter((silence) => !withheld.includes(silence));
  const unknown = [...check.unknown, ...withheld];
  for (const { database, id, words } of closed)
    log.info('database.closed', `database ${database} accepts no connections, so it was not checked`, { id, why: words });
  for (const { database, id, words } of unknown)
    log.warn('database.unchecked', `database ${database} could not be checked, the server is running: ${tellTrouble(id, words)}`, {
      id,
      why: words,
    });
  const complaints: Finding[] = [];
  const rebuilt: Finding[] = [];
  for (const relation of lost) {
    const finding = lossOf(relation);
    const { database, relation: index } = relation;
    const lostIndex = { database, index, what: `the file of index ${index} in ${database} was gone` };
    const healed = finding.code === 'index.damaged' && (await rebuildIndex({ local, socketDir: questions.socketDir }, lostIndex, signal));
    (healed ? rebuilt : complaints).push(finding);
  }
  for (const silence of silent)
    for (const finding of await damageOf(local, silence))
      if (!complaints.some(({ code, path }) => code === finding.code && path === finding.path)) complaints.push(finding);
  // Nobody is let in either where the catalog of roles is what was lost: then the files say so.
  if (unknown.some(({ id }) => id === 'not-let-in'))
    complaints.push(...before.report.findings.filter(({ code, path }) => code === 'catalog.missing' && path.startsWith('global/')));
  return { complaints, rebuilt, unknown, answering: silent.length === 0 && refusals.length === 0 && unknown.length === 0 };
}

/**
 * The server's words name a file that the system does not let dbkit read either (EIO, EUCLEAN, ELOOP …): in its own language they say nothing of that, and
 * internal_error stands for whatever errno has no code of its own (errcode_for_file_access, elog.c). That is a disk or a mount, and no damage.
 */
function isWithheld({ volume: { dataDir } }: Local, { sqlState, words }: Silence): boolean {
  const file = sqlState === 'XX000' ? dataFileIn(words) : undefined;
  if (file === undefined) return false;
  try {
    readPlainSync(join(dataDir, file));
    return false;
  } catch (cause) {
    return !['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(cause) ?? '');
  }
}

/** PostgreSQL's words may say that something of the machine is missing for this database (its locale): then its data is not what is wrong. */
function refusalIn({ database, words }: Silence): { readonly database: string; readonly failure: DbkitError } | undefined {
  const meaning = triage(words.split('\n'));
  return meaning?.kind === 'refusal' ? { database, failure: refusalOf(meaning) } : undefined;
}

const refusalOf = ({ code, line, hint }: Extract<Meaning, { kind: 'refusal' }>): DbkitError =>
  new DbkitError(code, saidIn(wordsOfLine(line)), { hint });

/** PostgreSQL's own evidence as a finding: by its words where the triage table knows them, else by SQLSTATE and the file that they name. */
async function damageOf(local: Local, { database, path, sqlState, words }: Silence): Promise<Finding[]> {
  const lines = words.split('\n');
  const meaning = triage(lines);
  if (meaning?.kind === 'finding') return indexOfCatalog(local, { database, path }, await meaningToFindings(local, meaning));
  const evidence = saidIn(words);
  const file = dataFileIn(words);
  if (file === undefined || meaning !== undefined)
    return [{ code: 'database.missing', path: path ?? database, evidence, severity: 'certain', postgresSays: evidence }];
  const code = await preciseCode(local, codeOfFile(file, sqlState), file);
  return [{ code, path: file, evidence, severity: 'certain', postgresSays: evidence }];
}

/**
 * A session needs catalogs to begin, and dbkit asks for nothing else: an index that its failure names is theirs, and no running server rebuilds it. Its
 * file, where a map knows it, else the folder of the database. Names that begin with pg_ are PostgreSQL's own.
 */
async function indexOfCatalog(
  { volume: { dataDir } }: Local,
  { database, path: home }: Pick<Silence, 'database' | 'path'>,
  findings: readonly Finding[],
): Promise<Finding[]> {
  const named = async (finding: Finding): Promise<Finding> => {
    const name = finding.path;
    if (finding.code !== 'index.damaged' || !name.startsWith('pg_')) return finding;
    const path = (await fileOfSystemIndex(dataDir, name, home)) ?? home;
    return path === undefined ? finding : { ...finding, code: 'catalog-index.damaged', path, relation: { database, name } };
  };
  return Promise.all(findings.map(named));
}

/** The meaning of PostgreSQL's words about a file, where its sentence is in another language: undefined_file, or a part of it that is wrong. */
function codeOfFile(file: string, sqlState: string | undefined): FindingCode {
  if (/^pg_(xact|multixact|subtrans|commit_ts)\//.test(file)) return 'slru.damaged';
  if (file.endsWith('pg_filenode.map')) return 'filenode-map.damaged';
  if (file.endsWith('PG_VERSION')) return 'version-file.broken';
  return sqlState === '58P01' ? 'relation.missing' : 'page.damaged';
}

/** The server itself needs the indexes of its catalogs, so those are built in single-user mode. */
function lossOf({ kind, relation, database, path, isCatalog, shrunk, madeAnew: anew }: LostRelation): Finding {
  const named = { path, severity: 'certain', seenIn: 'files', relation: { database, name: relation } } as const;
  if (shrunk) {
    const evidence = `table ${relation} in database ${database} has ${shrunk.toBlocks} blocks, and had ${shrunk.fromBlocks} at its last VACUUM or ANALYZE`;
    return { code: 'relation.truncated', evidence, ...named };
  }
  const code =
    kind === 'index' ? (isCatalog ? 'catalog-index.damaged' : 'index.damaged') : isCatalog ? 'catalog.missing' : 'relation.missing';
  const how = anew ? 'was gone, and crash recovery recreated it from the WAL, which does not hold all of it' : 'is gone';
  return { code, evidence: `the file of ${kind} ${relation} in database ${database} ${how}`, ...named };
}

const wordsOfLine = (line: string): string => line.replace(/^.*?(FATAL|ERROR|LOG|PANIC):\s*/, '');

async function meaningToFindings(local: Local, meaning: Meaning | undefined): Promise<Finding[]> {
  if (meaning === undefined || meaning.kind === 'again') return [];
  if (meaning.kind === 'refusal') throw refusalOf(meaning);
  const path = meaning.path.startsWith('/') ? relative(local.volume.dataDir, meaning.path) || '.' : meaning.path;
  if (path.startsWith('../'))
    throw new DbkitError('server.settings', wordsOfLine(meaning.line), {
      hint: `mend ${meaning.path} itself: dbkit changes nothing outside the data directory; nothing was changed`,
    });
  const code = await preciseCode(local, meaning.code, path);
  return [{ code, path, evidence: wordsOfLine(meaning.line), severity: 'certain', postgresSays: meaning.line }];
}

/** A catalog's file, or one of its indexes': their remedies differ. What no map names is known by its siblings in other databases. */
async function preciseCode({ volume: { dataDir } }: Local, code: FindingCode, path: string): Promise<FindingCode> {
  if (code !== 'relation.missing' && code !== 'relation.truncated' && code !== 'page.damaged') return code;
  const mapped = await mappedRelation(dataDir, path);
  if (mapped !== undefined) return mapped.kind === 'index' ? 'catalog-index.damaged' : 'catalog.missing';
  return isCatalogIndex(dataDir, path, walk(dataDir, new AbortController().signal)) ? 'catalog-index.damaged' : code;
}
