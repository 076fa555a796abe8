import { type FindingCode, findingCodes } from '../inspection/findings.ts';
import type { FailureCode } from '../kernel/errors.ts';
import type { Refusal } from '../kernel/reasons.ts';

/** The meaning of PostgreSQL's own words: a finding about the data, a failure that is nobody's damage, or a reason to wait and try again. */
export type Meaning =
  | { readonly kind: 'finding'; readonly code: FindingCode; readonly path: string; readonly line: string }
  | { readonly kind: 'refusal'; readonly code: FailureCode; readonly line: string; readonly hint: string }
  | { readonly kind: 'again'; readonly line: string };

/** One kind of line that a server writes. Group 1 of `says` is the path, when there is one; `path` is where the damage is when the line does not say. */
export type Message = { readonly id: string; readonly says: RegExp; readonly words: string } & (
  | { readonly then: 'finding'; readonly code: FindingCode; readonly path: string }
  | { readonly then: 'refuse'; readonly refusal: Refusal }
  | { readonly then: 'wait' }
);

const found = <const Id extends string>(id: Id, code: FindingCode, says: RegExp, path = '.') =>
  ({ id, says, then: 'finding', code, path, words: findingCodes[code] }) as const;
const refused = <const Id extends string>(id: Id, code: FailureCode, says: RegExp, words: string, hint: string) =>
  ({ id, says, then: 'refuse', refusal: { code, hint }, words }) as const;
const wait = <const Id extends string>(id: Id, says: RegExp, words: string) => ({ id, says, then: 'wait', words }) as const;

/**
 * First match of a line wins; the first line that matches anything decides. The strings are those of the server's source (13 to 18);
 * PostgreSQL's own hints to run initdb are never followed.
 */
const rows = [
  // Not corruption.
  refused(
    'port-taken',
    'port.in-use',
    /could not bind .*: Address already in use|could not create any TCP\/IP sockets/,
    'another program listens on the port',
    'stop the other server, or set PGPORT to a free port',
  ),
  refused(
    'socket-taken',
    'port.in-use',
    /lock file ".*\.lock" already exists/,
    'another server uses the socket of this port',
    'another server uses this port’s socket; set PGPORT or PGHOST to another',
  ),
  refused(
    'pid-file-taken',
    'server.running',
    /lock file "postmaster\.pid" already exists/,
    'postmaster.pid is there already',
    'stop the other server first',
  ),
  wait(
    'server-not-ready',
    /the database system is (starting up|not (yet )?accepting connections|in recovery mode|shutting down)/,
    'the server is starting, recovering or stopping',
  ),
  wait('shared-memory-in-use', /pre-existing shared memory block .* is still in use/, 'the last server’s shared memory is still in use'),
  // Before the full disk: /dev/shm has no space left either, and is no disk.
  refused(
    'shared-memory-too-large',
    'server.settings',
    /could not map anonymous shared memory|could not create shared memory segment|could not resize shared memory|shared memory segment "[^"]*".*No space left/,
    'the machine has less memory than shared_buffers asks for',
    'lower shared_buffers, or give the container more shared memory (--shm-size)',
  ),
  refused(
    'disk-full',
    'volume.full',
    /No space left on device|Disk quota exceeded/,
    'the volume is full, or a quota is used up',
    'free some space on the volume; `dbkit status` shows which one is full',
  ),
  refused(
    'disk-fails',
    'volume.failing',
    /: (Input\/output error|Remote I\/O error|Stale (NFS )?file handle|Transport endpoint is not connected|No such device( or address)?|Host is down)$/,
    'the disk or the mount does not answer',
    'a disk or a mount that does not answer is not lost data: look at `dmesg` and at the mount first',
  ),
  refused('disk-read-only', 'volume.read-only', /Read-only file system/, 'the volume takes no writes', 'mount the volume writable'),
  refused(
    'binaries-of-another-major',
    'data.version',
    /database files are incompatible with server/,
    'these programs are of another major version than the data',
    'use the binaries of the data’s own major version',
  ),
  refused(
    'settings-too-low-for-wal',
    'server.settings',
    /recovery aborted because of insufficient parameter settings/,
    'settings are lower than they were when the WAL was written',
    'raise the settings that the log names to at least their old values',
  ),
  refused(
    'library-not-there',
    'server.settings',
    /could not access file "[^"]+": No such file or directory|could not load library/,
    'a library that a setting names cannot be loaded',
    'install the extension’s package, or take the library out of shared_preload_libraries',
  ),
  refused(
    'machine-out-of-something',
    'server.settings',
    /: (Too many open files( in system)?|Cannot allocate memory)$/,
    'the machine has no more memory or open files to give',
    'give the server more of what the machine is short of (ulimit -n, memory); nothing is wrong with the data',
  ),
  refused(
    'locale-gone',
    'server.settings',
    /locale .*(not available|incompatible with operating system)|invalid locale name/i,
    'the system has no locale of this name',
    'install the locale that the database was made with',
  ),
  // One right answer.
  found('says-owner-wrong', 'owner.wrong', /data directory "([^"]+)" has wrong ownership/),
  found('says-mode-wrong', 'mode.wrong', /data directory "([^"]+)" has invalid permissions/),
  found(
    'says-permission-denied',
    'owner.wrong',
    /could not (?:open|read|access|stat|create) (?:file|directory) "(?:\.\/)?([^"]+)": Permission denied/,
  ),
  // Only "No such file or directory" says that something is missing; any other reason of the system's is no damage.
  refused(
    'file-refused-by-the-system',
    'volume.failing',
    /[Cc]ould not (?:open|access|stat|lstat|create|read|write|seek|fsync|fdatasync|rename|remove|link|truncate|extend)\b[^"]*"[^"]+"(?: [^:"]*)?: (?!No such file or directory|Permission denied)[A-Z][^:]*$/,
    'the system does not let the server use a file',
    'the system gives the reason above, and it is no lost data: look at that file, its attributes and its mount first',
  ),
  found('says-tablespace-gone', 'tablespace.dangling', /could not open directory "(?:\.\/)?(pg_tblspc\/[^"]+)"/),
  found('says-directory-gone', 'directory.missing', /could not open directory "(?:\.\/)?([^"]+)": No such file/),
  found('says-wal-directory-gone', 'wal-directory.missing', /required WAL directory "([^"]+)" does not exist/, 'pg_wal'),
  found('says-configuration-gone', 'conf.missing', /could not access the server configuration file "([^"]+)"/),
  found(
    'says-hba-unreadable',
    'conf.broken',
    /could not (?:open|load) (?:configuration |usermap |authentication )?(?:file )?"?([^" ]*pg_(?:hba|ident)\.conf)/,
  ),
  found('says-syntax-error', 'conf.broken', /syntax error in file "([^"]+)"/),
  found('says-configuration-broken', 'conf.broken', /configuration file "([^"]+)" contains errors/),
  found('says-version-file-broken', 'version-file.broken', /"([^"]+)" is not a valid data directory/),
  found('says-standby-signal', 'signal.stray', /must specify restore_command when standby mode is not enabled/, 'standby.signal'),
  found(
    'says-redo-not-found',
    'backup-label.stray',
    /could not find redo location referenced by checkpoint record|could not find redo location .* referenced by checkpoint record|could not locate required checkpoint record/,
    'backup_label',
  ),
  found(
    'says-origins-damaged',
    'replication-origin.damaged',
    /could not read file "pg_logical\/replorigin_checkpoint"|replication (?:slot )?checkpoint has wrong (?:magic|checksum)/,
    'pg_logical/replorigin_checkpoint',
  ),
  found('says-slot-damaged', 'replication-slot.damaged', /replication slot file "(?:\.\/)?(pg_replslot\/[^"/]+)/),
  found(
    'says-control-damaged',
    'control.damaged',
    /(?:incorrect checksum in control file|could not (?:open|read) file "(?:[^"]*\/)?global\/pg_control"|could not find the database system)/,
    'global/pg_control',
  ),
  found('says-filenode-map-damaged', 'filenode-map.damaged', /relation mapping file "([^"]+)" contains/),
  found('says-filenode-map-gone', 'filenode-map.damaged', /could not (?:open|read)(?: relation mapping)? file "([^"]*pg_filenode\.map)"/),
  found(
    'says-checkpoint-gone',
    'wal.missing',
    /could not locate a valid checkpoint record|invalid (?:primary )?checkpoint record/,
    'pg_wal',
  ),
  found('says-index-damaged', 'index.damaged', /index "([^"]+)" (?:contains (?:corrupted|unexpected)|is not a)/),
  // Needs other bytes.
  found(
    'says-transaction-status-gone',
    'slru.damaged',
    /Could not (?:open|read from|seek in) file "((?:pg_xact|pg_multixact|pg_subtrans|pg_commit_ts)\/[^"]+)"/,
  ),
  found('says-database-gone', 'database.missing', /The database subdirectory "([^"]+)" is missing/),
  found('says-file-gone', 'relation.missing', /could not open file "((?:global|base|pg_tblspc)\/[^"]+)"/),
  found('says-file-too-short', 'relation.truncated', /could not read blocks? \S+ in file "([^"]+)"/),
  found('says-page-invalid', 'page.damaged', /invalid page in blocks? \S+ of relation "?([^" ]+)/),
  found('says-transaction-status-unknown', 'slru.damaged', /could not access status of transaction/, 'pg_xact'),
] as const satisfies readonly Message[];

export type MessageId = (typeof rows)[number]['id'];
export const messages: readonly (Message & { readonly id: MessageId })[] = rows;

/** The row that one line matches; undefined when it says nothing that dbkit knows. */
export const messageOf = (line: string): (Message & { readonly id: MessageId }) | undefined => messages.find(({ says }) => says.test(line));

/** The meaning of the first telling line; undefined when PostgreSQL said nothing that dbkit knows. */
export function triage(lines: readonly string[]): Meaning | undefined {
  for (const line of lines) {
    const row = messageOf(line);
    if (row === undefined) continue;
    if (row.then === 'wait') return { kind: 'again', line };
    if (row.then === 'refuse') return { kind: 'refusal', ...row.refusal, line };
    return { kind: 'finding', code: row.code, path: row.says.exec(line)?.[1] ?? row.path, line };
  }
  return undefined;
}
