/**
 * Everything that can go wrong, once. Exit statuses follow sysexits(3), so systemd, Kubernetes and shell scripts can match on them;
 * `retryable` says whether doing the same again may help without a person.
 */
export const failures = {
  'command.failed': { exit: 1, retryable: false },
  'tool.failed': { exit: 1, retryable: false },
  'usage.invalid': { exit: 2, retryable: false },
  'data.corrupt': { exit: 65, retryable: false },
  'wal.damaged': { exit: 65, retryable: false },
  'backup.missing': { exit: 1, retryable: false },
  'service.failed': { exit: 69, retryable: true },
  'service.unready': { exit: 69, retryable: true },
  'volume.full': { exit: 69, retryable: true },
  'volume.read-only': { exit: 69, retryable: true },
  'volume.failing': { exit: 69, retryable: true },
  'machine.exhausted': { exit: 69, retryable: true },
  'control.unavailable': { exit: 69, retryable: true },
  'control.silent': { exit: 69, retryable: true },
  'control.elsewhere': { exit: 77, retryable: false },
  'internal.bug': { exit: 70, retryable: false },
  'file.exists': { exit: 73, retryable: false },
  'wal.conflict': { exit: 73, retryable: false },
  'lock.held': { exit: 75, retryable: true },
  'server.running': { exit: 75, retryable: true },
  'port.in-use': { exit: 75, retryable: true },
  'data.foreign': { exit: 77, retryable: false },
  'wal.foreign': { exit: 77, retryable: false },
  'data.owner': { exit: 77, retryable: false },
  'recovery.refused': { exit: 77, retryable: false },
  'prompt.refused': { exit: 77, retryable: false },
  'config.untrusted': { exit: 77, retryable: false },
  'config.invalid': { exit: 78, retryable: false },
  'data.version': { exit: 78, retryable: false },
  'server.settings': { exit: 78, retryable: false },
  'program.unusable': { exit: 126, retryable: false },
  'program.missing': { exit: 127, retryable: false },
} as const satisfies Record<string, { exit: number; retryable: boolean }>;

export type FailureCode = keyof typeof failures;

/** A failure that a person can act on: what happened (`message`, lower case, no full stop) and what to try next (`hint`, one sentence). */
export class DbkitError extends Error {
  readonly code: FailureCode;
  readonly hint: string | undefined;
  /** Whether anything of the user's was changed before the failure. */
  readonly changed: boolean;
  constructor(code: FailureCode, message: string, options: { hint?: string | undefined; cause?: unknown; changed?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.name = 'DbkitError';
    this.code = code;
    this.hint = options.hint;
    this.changed = options.changed ?? false;
  }
}

/** What `--json` prints of a failure; `changed` tells whether the user's data was touched before it. */
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

/** What the system has refused is said in its words: the machine is short of something, and dbkit has no bug. */
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
    hint: 'see that the other end runs, and try again',
  },
  { errnos: ['EACCES', 'EPERM', 'ELOOP'], code: 'data.owner', hint: 'look whose it is: `ls -ld` on it and on the folders above it' },
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

/** What this process itself ran out of (errno(3)): descriptors, memory, buffers, ports. It says nothing about anybody else. */
const ownTroubles = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL']);

/** True for a failure of dbkit's own, looked for along the chain of causes. */
export function isOwnTrouble(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return ownTroubles.has(errnoOf(thrown) ?? '') || isOwnTrouble(thrown.cause);
}

/** True when the operating system said that this user may not. */
export const isDenied = (thrown: unknown): boolean => errnoOf(thrown) === 'EACCES' || errnoOf(thrown) === 'EPERM';

/** Everything a failure says: its message and its hint, for matching and for logs. */
export function wordsOf(thrown: unknown): string {
  if (thrown instanceof DbkitError) return [thrown.message, thrown.hint].filter(Boolean).join('\n');
  return thrown instanceof Error ? thrown.message : String(thrown);
}
