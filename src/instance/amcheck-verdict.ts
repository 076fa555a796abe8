import { decide, type Row } from '../kernel/reasons.ts';

/** The end of a run of pg_amcheck, with its words in the C locale (session-settings.ts). */
export interface AmcheckEnd {
  readonly exitCode: number;
  readonly words: string;
}

/** The meaning for the tables and indexes that it was to read; 'unknown': it could not look. */
export type AmcheckStanding = 'sound' | 'skipped' | 'damaged' | 'unknown';

const DAMAGED = 2; // src/bin/pg_amcheck/pg_amcheck.c: also where a check itself has failed.

/** Errors of the machine, or of the session that asks (Appendix A, classes 53, 54, 55P03, 57, 42 and 58030): pg_amcheck prints no code. */
const IN_THE_WAY =
  /No space left on device|Disk quota exceeded|out of (shared )?memory|Cannot allocate memory|Too many open files|Input\/output error|could not (resize|map|create) [\w ]*shared memory|temporary file size exceeds|stack depth limit|canceling (statement|autovacuum)|terminating connection|server closed the connection|lost synchronization|connection to server|SSL (SYSCALL|error)|too many clients|remaining connection slots|system is (starting|shutting|in recovery)|deadlock detected|could not obtain lock|permission denied|does not exist|pg_amcheck: /;

/** Its complaints, each with the lines that belong to it: a relation, and below it, indented, what is said of it (pg_amcheck.c). */
function entriesOf(words: string): string[] {
  const entries: string[] = [];
  for (const line of words.split('\n').filter((one) => one.trim() !== '')) {
    if (/^\s/.test(line) && entries.length > 0) entries[entries.length - 1] += `\n${line}`;
    else entries.push(line);
  }
  return entries;
}

/** The complaints that speak of the data. Pure. */
export const amcheckComplaints = (words: string): string[] => entriesOf(words).filter((entry) => !IN_THE_WAY.test(entry));

type AmcheckRow = Row<AmcheckEnd, AmcheckStanding> & { readonly id: AmcheckRowId };

const rows = [
  { id: 'amcheck-passed', when: ({ exitCode }) => exitCode === 0, then: 'sound', words: 'every table and index is consistent' },
  {
    id: 'amcheck-not-installed',
    when: ({ words }) => /could not open extension control file|extension "amcheck" is not available/.test(words),
    then: 'skipped',
    words: 'the extension amcheck is not installed (Debian: postgresql-contrib)',
  },
  {
    id: 'amcheck-complained',
    when: ({ exitCode, words }) => exitCode === DAMAGED && amcheckComplaints(words).length > 0,
    then: 'damaged',
    words: 'pg_amcheck complains of a table or an index',
  },
  {
    id: 'amcheck-kept-from-looking',
    when: ({ exitCode }) => exitCode === DAMAGED,
    then: 'unknown',
    words: 'the check could not run: the machine is short of something, or the session was ended',
  },
  { id: 'amcheck-failed', when: () => true, then: 'unknown', words: 'the check could not run: pg_amcheck ended with status {exitCode}' },
] as const satisfies readonly Row<AmcheckEnd, AmcheckStanding>[];

export type AmcheckRowId = (typeof rows)[number]['id'];
export const amcheckRows: readonly AmcheckRow[] = rows;

/** The row that an end of pg_amcheck falls under. Pure. */
export const judgeAmcheck = (end: AmcheckEnd): AmcheckRow => decide<AmcheckEnd, AmcheckRow>(rows, end);
