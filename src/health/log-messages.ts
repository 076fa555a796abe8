import type { FindingCode } from '../inspection/findings.ts';
import type { Row } from '../kernel/reasons.ts';
import { triage } from '../recovery/triage.ts';
import type { LogSubject } from './facts.ts';

/** One message of the server's log, in whichever format it was written. */
export interface LogEntry {
  /** 'LOG', 'ERROR', 'PANIC'; in the language of the server's messages. */
  readonly severity: string;
  /** Appendix A's code; undefined where the format does not have it. */
  readonly sqlState: string | undefined;
  readonly message: string;
}

/** The subject of a message that a person should know of. */
export interface LogMeaning {
  readonly status: 'warning' | 'critical';
  readonly subject: LogSubject;
  /** In one phrase. */
  readonly meaning: string;
}

const says =
  (pattern: RegExp) =>
  ({ message }: LogEntry): boolean =>
    pattern.test(message);
const hasState =
  (...states: readonly string[]) =>
  ({ sqlState }: LogEntry): boolean =>
    sqlState !== undefined && states.includes(sqlState);
/** A name of dynamic shared memory (shm_open in src/backend/storage/ipc/dsm_impl.c): no file of any disk. */
const ofSharedMemory = says(/"\/PostgreSQL\.\d+"|pg_dynshmem\//);
/** A file of the data; quoted names are the same in every language. */
const ofTheData = says(/"(\.\/)?(base|global|pg_tblspc|pg_xact|pg_multixact|pg_subtrans|pg_commit_ts|pg_twophase)\//);
/** ERROR, FATAL and PANIC as the server's catalogs of messages have them (src/backend/po, 13 to 18). */
const panics = ['PANIC', 'PANIK', 'ПАНИКА', 'ПАНІКА', 'PANICO', 'PÁNICO', 'პანიკა', '손상', '比致命错误还过分的错误'];
const errors: ReadonlySet<string> = new Set([
  ...panics,
  ...[
    'ERROR',
    'FEHLER',
    'ERREUR',
    'ERRORE',
    'ERRO',
    'ОШИБКА',
    'ПОМИЛКА',
    'FEL',
    'HATA',
    'BŁĄD',
    'CHYBA',
    'ΣΦΑΛΜΑ',
    'შეცდომა',
    '오류',
    '错误',
    '錯誤',
  ],
  ...['FATAL', 'FATALE', 'FATALT', 'ВАЖНО', 'ФАТАЛЬНО', 'ÖLÜMCÜL', 'KATASTROFALNY', 'ფატალური', '치명적오류', '致命错误'],
]);
/** An error or worse, in whichever language the server speaks. */
export const isError = (severity: string): boolean => errors.has(severity);
/** The path of a relation's file, without its fork and segment; it is the same in every language. */
const namesRelationFile = says(/(^|[^\w/])(global|base\/\d+|pg_tblspc\/\d+\/PG_\w+\/\d+)\/\d+/);
const isFull = (entry: LogEntry): boolean => hasState('53100')(entry) || says(/No space left on device|Disk quota exceeded/)(entry);
/** A process of the server's was ended by one of these signals; in each of its languages the number stands between the pid and a colon (LogChildExit). Of a command of the archiver no pid is said. */
const ended = ({ message }: LogEntry, ...signals: readonly number[]): boolean =>
  signals.includes(Number((/\(PID \d+\)\D+?(\d+)[^\d:]*:/.exec(message) ?? /was terminated by signal (\d+)/.exec(message))?.[1]));
/** Of the triage table, what says that bytes are wrong or gone. */
const damage: ReadonlySet<FindingCode> = new Set<FindingCode>([
  ...(['control.damaged', 'filenode-map.damaged', 'wal.missing', 'index.damaged', 'slru.damaged', 'database.missing'] as const),
  ...(['relation.missing', 'relation.truncated', 'page.damaged'] as const), // A directory or a file of the user's own may be missing too.
]);

/**
 * First match wins. Codes come before words: they mean the same in every language. The words are those of the server's source (13 to 18), as
 * they stand after LOG, WARNING, ERROR, FATAL or PANIC.
 */
export const logRows = [
  {
    id: 'shared-memory-full',
    when: (entry) => ofSharedMemory(entry) && isFull(entry),
    then: ['warning', 'shared-memory'],
    words: 'shared memory (/dev/shm) is full, no disk: give the container more (--shm-size)',
  },
  { id: 'page-damaged', when: says(/invalid page (header )?in block/), then: ['critical', 'data'], words: 'a page is damaged' },
  {
    id: 'checksum-failed',
    when: says(/(page|checksum) verification failed/),
    then: ['critical', 'data'],
    words: 'a page fails its checksum',
  },
  { id: 'data-corrupted', when: hasState('XX001'), then: ['critical', 'data'], words: 'data is damaged' },
  { id: 'index-corrupted', when: hasState('XX002'), then: ['critical', 'data'], words: 'an index is damaged' },
  { id: 'disk-full', when: isFull, then: ['critical', 'disk'], words: 'a disk is full' },
  {
    id: 'file-missing',
    when: (entry) => ofTheData(entry) && (hasState('58P01')(entry) || says(/: No such file or directory$/)(entry)),
    then: ['critical', 'data'],
    words: 'a file of the data is missing',
  },
  {
    id: 'disk-fails',
    when: (entry) => says(/Input\/output error/)(entry) || (hasState('58030')(entry) && ofTheData(entry)),
    then: ['critical', 'disk'],
    words: 'a disk fails',
  },
  {
    id: 'file-unreadable',
    when: says(/could not (read|write) blocks? |could not (fsync|extend) file /),
    then: ['critical', 'data'],
    words: 'a file cannot be read or written',
  },
  {
    id: 'process-crashed',
    when: (entry) => ended(entry, 4, 6, 7, 8, 11) || says(/[Ss]egmentation fault/)(entry),
    then: ['critical', 'process'],
    words: 'a server process crashed',
  },
  {
    id: 'process-killed',
    when: (entry) => ended(entry, 9),
    then: ['warning', 'process'],
    words: 'a server process was killed, perhaps for want of memory',
  },
  {
    id: 'startup-failed',
    when: says(/due to startup process failure|startup process \(PID \d+\) (exited|was terminated)/),
    then: ['critical', 'start'],
    words: 'the server could not start',
  },
  {
    id: 'recovery-interrupted',
    when: says(/interrupted while in recovery/),
    then: ['critical', 'start'],
    words: 'the server was stopped in the middle of recovery',
  },
  {
    id: 'data-damaged',
    when: says(/could not access status of transaction|unexpected zero page|contains corrupted page|missing chunk number/),
    then: ['critical', 'data'],
    words: 'data is damaged',
  },
  { id: 'mendable-damage', when: ({ message }) => isDamage(message), then: ['critical', 'data'], words: 'data is damaged' },
  {
    id: 'error-names-a-data-file', // Without its code, and in words that nobody here reads.
    when: (entry) => entry.sqlState === undefined && isError(entry.severity) && namesRelationFile(entry),
    then: ['critical', 'data'],
    words: 'an error names a file of the data',
  },
  {
    id: 'panic',
    when: ({ severity }) => panics.includes(severity),
    then: ['critical', 'process'],
    words: 'the server gave up',
  },
] as const satisfies readonly Row<LogEntry, readonly [status: LogMeaning['status'], subject: LogSubject]>[];
export type LogMeaningId = (typeof logRows)[number]['id'];

function isDamage(message: string): boolean {
  const meaning = triage([message]);
  return meaning?.kind === 'finding' && damage.has(meaning.code);
}

/** The meaning of an entry; undefined for daily business. */
export function meaningOf(entry: LogEntry): (LogMeaning & { readonly id: LogMeaningId }) | undefined {
  const row = logRows.find(({ when }) => when(entry));
  return row && { id: row.id, status: row.then[0], subject: row.then[1], meaning: row.words };
}
