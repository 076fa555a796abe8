import type { FindingCode } from '../inspection/findings.ts';
import type { FailureCode } from '../kernel/errors.ts';

/** What PostgreSQL's own words mean: a finding about the data, a failure that is nobody's damage, or a reason to wait and try again. */
export type Meaning =
  | { readonly kind: 'finding'; readonly code: FindingCode; readonly path: string; readonly line: string }
  | { readonly kind: 'refusal'; readonly code: FailureCode; readonly line: string; readonly hint: string }
  | { readonly kind: 'again'; readonly line: string };

/** `path`: where the damage is when the line does not say. */
type Row = readonly [pattern: RegExp, meaning: FindingCode | readonly [FailureCode, hint: string] | 'again', path?: string];

/**
 * First match of a line wins; the first line that matches anything decides. Group 1 is the path, when there is one.
 * The strings are those of the server's source (13 to 18); PostgreSQL's own hints to run initdb are never followed.
 */
const rows: readonly Row[] = [
  // Not corruption.
  [
    /could not bind .*: Address already in use|could not create any TCP\/IP sockets/,
    ['port.in-use', 'stop the other server, or set PGPORT to a free port'],
  ],
  [/lock file ".*\.lock" already exists/, ['port.in-use', 'another server uses this port’s socket; set PGPORT or PGHOST to another']],
  [/lock file "postmaster\.pid" already exists/, ['server.running', 'stop the other server first']],
  [/the database system is (starting up|not (yet )?accepting connections|in recovery mode|shutting down)/, 'again'],
  [/pre-existing shared memory block .* is still in use/, 'again'],
  [/No space left on device|Disk quota exceeded/, ['volume.full', 'free some space on the volume; `dbkit status` shows which one is full']],
  [
    /: (Input\/output error|Remote I\/O error|Stale (NFS )?file handle|Transport endpoint is not connected|No such device( or address)?|Host is down)$/,
    ['volume.failing', 'a disk or a mount that does not answer is not lost data: look at `dmesg` and at the mount first'],
  ],
  [/Read-only file system/, ['volume.read-only', 'mount the volume writable']],
  [/database files are incompatible with server/, ['data.version', 'use the binaries of the data’s own major version']],
  [
    /recovery aborted because of insufficient parameter settings/,
    ['server.settings', 'raise the settings that the log names to at least their old values'],
  ],
  [
    /could not access file "[^"]+": No such file or directory|could not load library/,
    ['server.settings', 'install the extension’s package, or take the library out of shared_preload_libraries'],
  ],
  [
    /could not map anonymous shared memory|could not create shared memory segment|could not resize shared memory/,
    ['server.settings', 'lower shared_buffers, or give the container more memory (--shm-size)'],
  ],
  [
    /: (Too many open files( in system)?|Cannot allocate memory)$/,
    ['server.settings', 'give the server more of what the machine is short of (ulimit -n, memory); nothing is wrong with the data'],
  ],
  [
    /locale .*(not available|incompatible with operating system)|invalid locale name/i,
    ['server.settings', 'install the locale that the database was made with'],
  ],
  // One right answer.
  [/data directory "([^"]+)" has wrong ownership/, 'owner.wrong'],
  [/data directory "([^"]+)" has invalid permissions/, 'mode.wrong'],
  [/could not (?:open|read|access|stat|create) (?:file|directory) "(?:\.\/)?([^"]+)": Permission denied/, 'owner.wrong'],
  [
    // Only "No such file or directory" says that something is missing; any other reason of the system's is no damage.
    /[Cc]ould not (?:open|access|stat|lstat|create|read|write|seek|fsync|fdatasync|rename|remove|link|truncate|extend)\b[^"]*"[^"]+"(?: [^:"]*)?: (?!No such file or directory|Permission denied)[A-Z][^:]*$/,
    ['volume.failing', 'the system gives the reason above, and it is no lost data: look at that file, its attributes and its mount first'],
  ],
  [/could not open directory "(?:\.\/)?(pg_tblspc\/[^"]+)"/, 'tablespace.dangling'],
  [/could not open directory "(?:\.\/)?([^"]+)": No such file/, 'directory.missing'],
  [/required WAL directory "([^"]+)" does not exist/, 'wal-directory.missing', 'pg_wal'],
  [/could not access the server configuration file "([^"]+)"/, 'conf.missing'],
  [/could not (?:open|load) (?:configuration |usermap |authentication )?(?:file )?"?([^" ]*pg_(?:hba|ident)\.conf)/, 'conf.broken'],
  [/could not load (pg_hba\.conf|pg_ident\.conf)/, 'conf.broken'],
  [/syntax error in file "([^"]+)"/, 'conf.broken'],
  [/configuration file "([^"]+)" contains errors/, 'conf.broken'],
  [/"([^"]+)" is not a valid data directory/, 'version-file.broken'],
  [/must specify restore_command when standby mode is not enabled/, 'signal.stray', 'standby.signal'],
  [
    /could not find redo location referenced by checkpoint record|could not find redo location .* referenced by checkpoint record|could not locate required checkpoint record/,
    'backup-label.stray',
    'backup_label',
  ],
  [/replication slot file "(?:\.\/)?(pg_replslot\/[^"/]+)/, 'replication-slot.damaged'],
  [
    /(?:incorrect checksum in control file|could not (?:open|read) file "(?:[^"]*\/)?global\/pg_control"|could not find the database system)/,
    'control.damaged',
    'global/pg_control',
  ],
  [/relation mapping file "([^"]+)" contains/, 'filenode-map.damaged'],
  [/could not (?:open|read)(?: relation mapping)? file "([^"]*pg_filenode\.map)"/, 'filenode-map.damaged'],
  [/could not locate a valid checkpoint record|invalid (?:primary )?checkpoint record/, 'wal.missing', 'pg_wal'],
  [/index "([^"]+)" (?:contains (?:corrupted|unexpected)|is not a)/, 'index.damaged'],
  // Needs other bytes.
  [/Could not (?:open|read from|seek in) file "((?:pg_xact|pg_multixact|pg_subtrans|pg_commit_ts)\/[^"]+)"/, 'slru.damaged'],
  [/The database subdirectory "([^"]+)" is missing/, 'database.missing'],
  [/could not open file "((?:global|base|pg_tblspc)\/[^"]+)"/, 'relation.missing'],
  [/could not read blocks? \S+ in file "([^"]+)"/, 'relation.truncated'],
  [/invalid page in blocks? \S+ of relation "?([^" ]+)/, 'page.damaged'],
  [/could not access status of transaction/, 'slru.damaged', 'pg_xact'],
];

/** What the first telling line says; undefined when PostgreSQL said nothing that dbkit knows. */
export function triage(lines: readonly string[]): Meaning | undefined {
  for (const line of lines) {
    for (const [pattern, meaning, path = '.'] of rows) {
      const match = pattern.exec(line);
      if (!match) continue;
      if (meaning === 'again') return { kind: 'again', line };
      if (typeof meaning !== 'string') return { kind: 'refusal', code: meaning[0], hint: meaning[1], line };
      return { kind: 'finding', code: meaning, path: match[1] ?? path, line };
    }
  }
  return undefined;
}
