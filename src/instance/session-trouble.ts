/**
 * The meaning of a failed session for the data. 'damage': PostgreSQL's own evidence. 'closed': this database takes no sessions, which is
 * somebody's wish. 'unknown': nothing at all; the server stays up and is asked again.
 */
export type Standing = 'damage' | 'closed' | 'unknown';

/** A session that did not begin, or a question without an answer. */
export interface Trouble {
  /** The server's five characters (Appendix A, "PostgreSQL Error Codes"); undefined when nobody answered. */
  readonly sqlState: string | undefined;
  /** Message and detail, in the server's language. */
  readonly words: string;
  readonly harm?: Harm;
}

/** 'endless': its backend heard no limit, and dbkit killed it. 'crash': it took the server's other processes with it, twice. */
export type Harm = 'endless' | 'crash';

interface TroubleRow {
  readonly id: string;
  readonly when: (trouble: Trouble) => boolean;
  readonly then: Standing;
  /** It may be over in a moment. */
  readonly passes?: true;
  readonly words: string;
  /** The person's own step, where there is one. */
  readonly remedy?: string;
}

const state =
  (...patterns: readonly RegExp[]) =>
  ({ sqlState = '' }: Trouble): boolean =>
    patterns.some((pattern) => pattern.test(sqlState));
/** A file of the data's: its name is the same in every language. */
const namesDataFile = ({ words }: Trouble): boolean => dataFileIn(words) !== undefined;

/** First match wins. What is in no row is unknown: a table that grew with a new major must not make damage of what it does not know. */
export const troubleRows: readonly TroubleRow[] = [
  {
    id: 'session-without-end',
    when: ({ harm }) => harm === 'endless',
    then: 'unknown',
    words: 'a question to it came to no end, and no timeout ended it',
    remedy:
      'take a copy of its files, then look at its indexes with `pg_amcheck`; each start of dbkit asks it once more, which ends every session for a moment',
  },
  {
    id: 'session-that-crashes',
    when: ({ harm }) => harm === 'crash',
    then: 'unknown',
    words: 'a question to it crashed the server, twice, without a word',
    remedy:
      'take a copy of its files, then look for the reason in the server’s log; each start of dbkit asks it twice more, which ends every session for a moment',
  },
  {
    id: 'nobody-answered',
    when: ({ sqlState }) => sqlState === undefined,
    then: 'unknown',
    passes: true,
    words: 'the server did not answer in time, or the connection broke',
  },
  { id: 'connection-failed', when: state(/^08/), then: 'unknown', passes: true, words: 'the connection failed' },
  {
    id: 'not-let-in',
    when: state(/^28/),
    then: 'unknown',
    words: 'the server does not let this user in',
    remedy: 'LOGIN, the password in the configuration or a line in pg_hba.conf lets dbkit’s superuser in',
  },
  {
    id: 'too-many-clients',
    when: state(/^53300$/),
    then: 'unknown',
    passes: true,
    words: 'every connection is taken',
    remedy: 'end clients, or raise max_connections or superuser_reserved_connections',
  },
  {
    id: 'short-of-resources',
    when: state(/^53/, /^54/),
    then: 'unknown',
    passes: true,
    words: 'the server is short of memory, disk or another resource',
  },
  { id: 'not-ready', when: state(/^57P03$/), then: 'unknown', passes: true, words: 'the server is starting, stopping or recovering' },
  {
    id: 'ended-from-outside',
    when: state(/^57/, /^25P0[23]$/),
    then: 'unknown',
    passes: true,
    words: 'the question was cancelled, timed out, or its session was ended',
  },
  {
    id: 'lock-held',
    when: state(/^55P03$/, /^40/, /^55006$/),
    then: 'unknown',
    passes: true,
    words: 'somebody holds a lock that the question needs',
  },
  {
    id: 'closed-database',
    when: state(/^55000$/),
    then: 'closed',
    words: 'the database accepts no connections: closed, or a DROP DATABASE was cut off',
  },
  { id: 'no-privilege', when: state(/^42501$/), then: 'unknown', words: 'this user may not ask that' },
  { id: 'disk-does-not-answer', when: state(/^58030$/), then: 'unknown', words: 'the disk or the mount answers with an error' },
  {
    id: 'database-directory-missing',
    when: (trouble) => state(/^3D000$/)(trouble) && /\bbase\/\d+/.test(trouble.words),
    then: 'damage',
    words: 'the catalogs name a database whose directory is missing',
  },
  { id: 'no-such-database', when: state(/^3D000$/), then: 'closed', words: 'there is no such database any more' },
  { id: 'damaged-page-or-index', when: state(/^XX00[12]$/), then: 'damage', words: 'PostgreSQL calls data or an index corrupted' },
  {
    id: 'file-missing',
    when: (trouble) => state(/^58P01$/)(trouble) && namesDataFile(trouble),
    then: 'damage',
    words: 'a file that the catalogs name is missing',
  },
  {
    id: 'library-missing',
    when: state(/^58P01$/),
    then: 'unknown',
    words: 'a library or a file outside the data is missing: a setting of this database or role',
    remedy: 'install it, or take it out of the setting: ALTER DATABASE … RESET, ALTER ROLE … RESET',
  },
  {
    id: 'internal-error-over-a-file',
    when: (trouble) => state(/^XX/, /^22/)(trouble) && namesDataFile(trouble),
    then: 'damage',
    words: 'PostgreSQL rejects a file of the data',
  },
  { id: 'catalogs-contradict', when: state(/^XX000$/), then: 'damage', words: 'the catalogs contradict themselves' },
  { id: 'anything-else', when: () => true, then: 'unknown', words: 'the server answered with an error that says nothing about the data' },
];

/** The row that a trouble falls under. Pure. */
export const troubleOf = (trouble: Trouble): Omit<TroubleRow, 'when'> => troubleRows.find(({ when }) => when(trouble))!; // The last row always matches.

/** The first file of the data that the words name, relative to PGDATA; quotes differ between languages, paths do not. */
export const dataFileIn = (words: string): string | undefined =>
  /(?:^|[^\w/])((?:global|base\/\d+|pg_tblspc\/\d+\/[^/\s]+\/\d+|pg_xact|pg_multixact\/(?:offsets|members)|pg_subtrans|pg_commit_ts)\/[\w.]+)/.exec(
    words,
  )?.[1];

/** How a session's failure begins (connection.ts). */
const saidBy = /^PostgreSQL (does not answer on port \d+|answered|gave no answer): /;

/** The first line of what the server said. */
export const saidIn = (words: string): string => words.split('\n')[0]!.replace(saidBy, '');

/** For people: the meaning, the server's own words, and what to change. */
export function tellTrouble(id: string, words: string): string {
  const remedy = troubleRows.find((row) => row.id === id)?.remedy;
  return [`${troubleWords(id)} (${saidIn(words)})`, ...(remedy === undefined ? [] : [remedy])].join('; ');
}

/** A row's words by its id; '' for one that there is not. */
export const troubleWords = (id: string): string => troubleRows.find((row) => row.id === id)?.words ?? '';
