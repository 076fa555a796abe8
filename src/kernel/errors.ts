/**
 * Everything that can go wrong, once. Exit statuses follow sysexits(3), so systemd, Kubernetes and shell scripts can match on them;
 * `retryable` says whether doing the same again may help without a person; `words` and `next` are for `dbkit explain`, each message has its own.
 */
export const failures = {
  'command.failed': { exit: 1, retryable: false, words: 'a command that dbkit was given failed', next: 'read its output above' },
  'tool.failed': { exit: 1, retryable: false, words: 'a program that dbkit runs failed', next: 'read its output in the message' },
  'usage.invalid': { exit: 2, retryable: false, words: 'the command line is wrong', next: 'add --help to the command' },
  'data.corrupt': {
    exit: 65,
    retryable: false,
    words: 'data or a backup is damaged',
    next: 'run `dbkit inspect --deep`, then `dbkit recover --dry-run`',
  },
  'wal.damaged': { exit: 65, retryable: false, words: 'a segment of the WAL archive is damaged', next: 'run `dbkit wal verify`' },
  'backup.missing': { exit: 1, retryable: false, words: 'there is no such backup', next: 'run `dbkit backup list`' },
  'service.failed': {
    exit: 69,
    retryable: true,
    words: 'a service does not start, or does not answer',
    next: 'read the lines of its log in the message',
  },
  'service.unready': {
    exit: 69,
    retryable: true,
    words: 'the server is starting, stopping or recovering',
    next: 'wait: `dbkit status --wait`',
  },
  'volume.full': {
    exit: 69,
    retryable: true,
    words: 'a volume has no space, or a quota is used up',
    next: 'free some space there, never in pg_wal',
  },
  'volume.read-only': { exit: 69, retryable: true, words: 'a volume is read-only', next: 'mount it writable' },
  'volume.failing': {
    exit: 69,
    retryable: true,
    words: 'a disk or a mount answers with errors',
    next: 'look at `dmesg` and at the mount first',
  },
  'machine.exhausted': {
    exit: 69,
    retryable: true,
    words: 'the machine has no more memory, processes or open files to give',
    next: 'raise the limit, or end other programs',
  },
  'store.unavailable': {
    exit: 69,
    retryable: true,
    words: 'the place of a copy does not answer, or is not mounted',
    next: 'check that it is up and can be reached',
  },
  'store.denied': {
    exit: 77,
    retryable: false,
    words: 'the place of a copy refuses',
    next: 'look at the credentials, the bucket or the folder',
  },
  'key.unusable': {
    exit: 78,
    retryable: false,
    words: 'no identity here decrypts the copy',
    next: 'run `dbkit keys check`',
  },
  'control.unavailable': { exit: 69, retryable: true, words: 'no dbkit supervises this instance', next: 'see `dbkit status`' },
  'control.silent': {
    exit: 69,
    retryable: true,
    words: 'the supervisor does not answer in time',
    next: 'check whether its process lives, then try again',
  },
  'control.elsewhere': {
    exit: 77,
    retryable: false,
    words: 'the supervisor runs in another container or as another user',
    next: 'run the command there',
  },
  'internal.bug': { exit: 70, retryable: false, words: 'a bug in dbkit', next: 'report it with the lines printed' },
  'file.exists': {
    exit: 73,
    retryable: false,
    words: 'something is there that would be overwritten',
    next: 'name another place, or move it away',
  },
  'wal.conflict': {
    exit: 73,
    retryable: false,
    words: 'the archive holds another segment of the same name',
    next: 'look at both; nothing was overwritten',
  },
  'lock.held': { exit: 75, retryable: true, words: 'another dbkit works on the same thing', next: 'wait until it is done' },
  'server.running': {
    exit: 75,
    retryable: true,
    words: 'a server runs on the data',
    next: 'stop it first, or use the command of the running one',
  },
  'port.in-use': { exit: 75, retryable: true, words: 'another program listens on the port', next: 'stop it, or set PGPORT' },
  'data.foreign': {
    exit: 77,
    retryable: false,
    words: 'the directory is not what it should be',
    next: 'name another directory; nothing was changed',
  },
  'wal.foreign': {
    exit: 77,
    retryable: false,
    words: 'a WAL segment is another cluster’s',
    next: 'find out which cluster writes to this archive',
  },
  'data.owner': {
    exit: 77,
    retryable: false,
    words: 'a file or a folder belongs to another user',
    next: 'check the owner with `ls -ld`',
  },
  'recovery.refused': {
    exit: 77,
    retryable: false,
    words: 'dbkit refuses, to keep data safe',
    next: 'read the reason in the message; `--dry-run` shows the plan',
  },
  'prompt.refused': { exit: 77, retryable: false, words: 'nobody answered the question, or the answer was no', next: 'add --yes' },
  'config.untrusted': {
    exit: 77,
    retryable: false,
    words: 'somebody else may change the configuration file',
    next: 'look at it, then `dbkit config trust`',
  },
  'config.invalid': { exit: 78, retryable: false, words: 'the configuration is wrong', next: 'run `dbkit config check`' },
  'data.version': {
    exit: 78,
    retryable: false,
    words: 'the programs are of another major version than the data',
    next: 'use the programs of the data’s major version',
  },
  'server.settings': {
    exit: 78,
    retryable: false,
    words: 'the server does not start with its settings or on this machine',
    next: 'read the server’s words in the message',
  },
  'program.unusable': { exit: 126, retryable: false, words: 'a program cannot be run', next: 'look at its mode and its format' },
  'program.missing': { exit: 127, retryable: false, words: 'a program is missing', next: 'install it, or name its folder' },
} as const satisfies Record<string, { exit: number; retryable: boolean; words: string; next: string }>;

export type FailureCode = keyof typeof failures;

/** A failure that a person can act on: what happened (`message`, lower case, no full stop) and what to try next (`hint`, one sentence). */
export class DbkitError extends Error {
  readonly code: FailureCode;
  readonly hint: string | undefined;
  /** True if anything of the user's was changed before the failure. */
  readonly changed: boolean;
  constructor(code: FailureCode, message: string, options: { hint?: string | undefined; cause?: unknown; changed?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.name = 'DbkitError';
    this.code = code;
    this.hint = options.hint;
    this.changed = options.changed ?? false;
  }
}

/** The fields of a failure in `--json`; `changed` tells whether the user's data was touched before it. */
export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
  readonly hint: string | null;
  readonly retryable: boolean;
  readonly changed: boolean;
}

/** Turns whatever was thrown into a failure; what is not a DbkitError is a bug of dbkit's. */
export function toFailure(thrown: unknown): Failure {
  if (thrown instanceof DbkitError) {
    const { code, message, hint, changed } = thrown;
    return { code, message, hint: hint ?? null, retryable: failures[code].retryable, changed };
  }
  const told = systemFailure(thrown);
  if (told) return { ...told, retryable: failures[told.code].retryable, changed: false };
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return {
    code: 'internal.bug',
    message,
    hint: 'this is a bug in dbkit: please report it with the lines above',
    retryable: false,
    changed: false,
  };
}

/** A refusal of the system is said in its words: the machine is short of something, and dbkit has no bug. */
const systemFailures: readonly { readonly errnos: readonly string[]; readonly code: FailureCode; readonly hint: string }[] = [
  { errnos: ['ENOSPC', 'EDQUOT'], code: 'volume.full', hint: 'free some space on that volume, or raise the quota, and try again' },
  { errnos: ['EROFS'], code: 'volume.read-only', hint: 'mount that volume writable and try again' },
  { errnos: ['EIO', 'ENXIO', 'ENODEV', 'ESTALE', 'ENOTCONN'], code: 'volume.failing', hint: 'look at `dmesg` and at the mount first' },
  {
    errnos: ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'ENOBUFS'],
    code: 'machine.exhausted',
    hint: 'raise the limit (`ulimit -n`, the memory of the container) or end other programs, and try again',
  },
  {
    errnos: ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
    code: 'service.failed',
    hint: 'check that the other end is running, and try again',
  },
  { errnos: ['ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY'], code: 'data.foreign', hint: 'move away what stands at that path, and try again' },
  { errnos: ['EACCES', 'EPERM', 'ELOOP'], code: 'data.owner', hint: 'check the owner: `ls -ld` on it and on the folders above it' },
];

function systemFailure(thrown: unknown): Pick<Failure, 'code' | 'message' | 'hint'> | undefined {
  const errno = errnoOf(thrown);
  const row = systemFailures.find(({ errnos }) => errnos.includes(errno ?? ''));
  if (row === undefined || !(thrown instanceof Error)) return undefined;
  return { code: row.code, message: thrown.message.replace(/^([A-Z]+): (.*)$/, '$2 ($1)'), hint: row.hint };
}

/** True for the rejection of anything that was cancelled through its AbortSignal. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === 'AbortError' || (thrown as NodeJS.ErrnoException).code === 'ABORT_ERR');
}

/** The errno name of a system call's failure ('ENOENT', 'ENOSPC', …), or undefined. */
export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined;
}

/** For `.catch(unlessMissing)`: undefined for a file or folder that is not there (ENOENT); anything else that a disk says is thrown on. */
export function unlessMissing(thrown: unknown): undefined {
  if (errnoOf(thrown) === 'ENOENT') return undefined;
  throw thrown;
}

/** True when the operating system said that this user may not. */
export const isDenied = (thrown: unknown): boolean => errnoOf(thrown) === 'EACCES' || errnoOf(thrown) === 'EPERM';

/** Everything a failure says: its message and its hint, for matching and for logs. */
export function wordsOf(thrown: unknown): string {
  if (thrown instanceof DbkitError) return [thrown.message, thrown.hint].filter(Boolean).join('\n');
  return thrown instanceof Error ? thrown.message : String(thrown);
}
