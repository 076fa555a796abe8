import { expect, test } from 'vitest';
import { type MessageId, messageOf, triage } from '../../src/recovery/triage.ts';
import { everyRow } from '../harness/every-row.ts';

// The lines are the server's own, taken from its source and from real logs.
test.each([
  ['FATAL:  could not open file "global/2671": No such file or directory', 'relation.missing', 'global/2671'],
  ['FATAL:  could not open directory "pg_notify": No such file or directory', 'directory.missing', 'pg_notify'],
  ['PANIC:  could not locate a valid checkpoint record', 'wal.missing', 'pg_wal'],
  ['PANIC:  could not locate a valid checkpoint record at 0/1955E50', 'wal.missing', 'pg_wal'],
  ['FATAL:  incorrect checksum in control file', 'control.damaged', 'global/pg_control'],
  ['PANIC:  could not read file "global/pg_control": read 100 of 296', 'control.damaged', 'global/pg_control'],
  ['FATAL:  relation mapping file "base/5/pg_filenode.map" contains incorrect checksum', 'filenode-map.damaged', 'base/5/pg_filenode.map'],
  ['FATAL:  could not load pg_hba.conf', 'conf.broken', 'pg_hba.conf'],
  ['FATAL:  configuration file "/d/postgresql.conf" contains errors', 'conf.broken', '/d/postgresql.conf'],
  ['LOG:  syntax error in file "/d/postgresql.auto.conf" line 3, near token "="', 'conf.broken', '/d/postgresql.auto.conf'],
  ['FATAL:  "base/1" is not a valid data directory', 'version-file.broken', 'base/1'],
  ['DETAIL:  Could not open file "pg_xact/0000": No such file or directory.', 'slru.damaged', 'pg_xact/0000'],
  [
    'PANIC:  replication slot file "pg_replslot/s/state" has wrong magic number: 0 instead of 17112225',
    'replication-slot.damaged',
    'pg_replslot/s',
  ],
  [
    'PANIC:  could not read file "pg_logical/replorigin_checkpoint": read 0 of 4',
    'replication-origin.damaged',
    'pg_logical/replorigin_checkpoint',
  ],
  [
    'PANIC:  replication slot checkpoint has wrong checksum 1, expected 2',
    'replication-origin.damaged',
    'pg_logical/replorigin_checkpoint',
  ],
  ['FATAL:  must specify restore_command when standby mode is not enabled', 'signal.stray', 'standby.signal'],
  ['ERROR:  invalid page in block 0 of relation base/5/16384', 'page.damaged', 'base/5/16384'],
  ['ERROR:  could not read block 3 in file "base/5/16384": read only 0 of 8192 bytes', 'relation.truncated', 'base/5/16384'],
  [
    'LOG:  could not open directory "pg_tblspc/16400/PG_15_202209061": No such file or directory',
    'tablespace.dangling',
    'pg_tblspc/16400/PG_15_202209061',
  ],
])('%s', (line, code, path) => {
  expect(triage([`2026-11-20 10:00:00 UTC [7] ${line}`])).toMatchObject({ kind: 'finding', code, path });
});

test.each([
  ['LOG:  could not bind IPv4 address "127.0.0.1": Address already in use', 'port.in-use'],
  ['FATAL:  could not write lock file "postmaster.pid": No space left on device', 'volume.full'],
  ['PANIC:  could not open file "global/pg_control": Operation not permitted', 'volume.failing'],
  ['PANIC:  could not open file "global/pg_control": Structure needs cleaning', 'volume.failing'],
  ['DETAIL:  Could not open file "pg_xact/0000": Too many levels of symbolic links.', 'volume.failing'],
  ['DETAIL:  Could not read from file "pg_xact/0000" at offset 8192: Input/output error.', 'volume.failing'],
  ['ERROR:  could not read block 3 in file "base/5/16384": Connection timed out', 'volume.failing'],
  ['FATAL:  could not open directory "pg_notify": Key has expired', 'volume.failing'],
  ['FATAL:  could not open file "x": Read-only file system', 'volume.read-only'],
  ['FATAL:  database files are incompatible with server', 'data.version'],
  ['FATAL:  could not access file "timescaledb": No such file or directory', 'server.settings'],
  ['FATAL:  could not open file "global/1262": Input/output error', 'volume.failing'],
  ['ERROR:  could not read block 0 in file "global/1262": Stale file handle', 'volume.failing'],
  ['FATAL:  could not open file "global/1262": Too many open files in system', 'server.settings'],
  ['FATAL:  could not map anonymous shared memory: Cannot allocate memory', 'server.settings'],
])('%s is a refusal', (line, code) => {
  expect(triage([line])).toMatchObject({ kind: 'refusal', code });
});

test('the first telling line decides, and silence means nothing', () => {
  expect(
    triage([
      'LOG:  starting PostgreSQL 15',
      'FATAL:  incorrect checksum in control file',
      'FATAL:  database files are incompatible with server',
    ]),
  ).toMatchObject({
    code: 'control.damaged',
  });
  expect(triage(['LOG:  starting PostgreSQL 15', 'LOG:  database system is ready to accept connections'])).toBeUndefined();
});

everyRow<MessageId, string>('what the server says', (line) => messageOf(line)!, {
  'port-taken': 'LOG:  could not bind IPv4 address "127.0.0.1": Address already in use',
  'socket-taken': 'FATAL:  lock file "/tmp/.s.PGSQL.5432.lock" already exists',
  'pid-file-taken': 'FATAL:  lock file "postmaster.pid" already exists',
  'server-not-ready': 'FATAL:  the database system is starting up',
  'shared-memory-in-use': 'FATAL:  pre-existing shared memory block (key 5432001, ID 5) is still in use',
  'disk-full': 'FATAL:  could not write lock file "postmaster.pid": No space left on device',
  'disk-fails': 'FATAL:  could not open file "global/1262": Input/output error',
  'disk-read-only': 'FATAL:  could not open file "x": Read-only file system',
  'binaries-of-another-major': 'FATAL:  database files are incompatible with server',
  'settings-too-low-for-wal': 'FATAL:  recovery aborted because of insufficient parameter settings',
  'library-not-there': 'FATAL:  could not access file "timescaledb": No such file or directory',
  'shared-memory-too-large': 'FATAL:  could not map anonymous shared memory: Cannot allocate memory',
  'machine-out-of-something': 'FATAL:  could not open file "global/1262": Too many open files in system',
  'locale-gone': 'FATAL:  database locale is incompatible with operating system',
  'says-owner-wrong': 'FATAL:  data directory "/d" has wrong ownership',
  'says-mode-wrong': 'FATAL:  data directory "/d" has invalid permissions',
  'says-permission-denied': 'FATAL:  could not open file "./global/1262": Permission denied',
  'file-refused-by-the-system': 'PANIC:  could not open file "global/pg_control": Operation not permitted',
  'says-tablespace-gone': 'LOG:  could not open directory "pg_tblspc/16400/PG_15_202209061": No such file or directory',
  'says-directory-gone': 'FATAL:  could not open directory "pg_notify": No such file or directory',
  'says-wal-directory-gone': 'FATAL:  required WAL directory "pg_wal" does not exist',
  'says-configuration-gone': 'postgres: could not access the server configuration file "/d/postgresql.conf": No such file or directory',
  'says-hba-unreadable': 'LOG:  could not open configuration file "/d/pg_hba.conf": No such file or directory',
  'says-syntax-error': 'LOG:  syntax error in file "/d/postgresql.auto.conf" line 3, near token "="',
  'says-configuration-broken': 'FATAL:  configuration file "/d/postgresql.conf" contains errors',
  'says-version-file-broken': 'FATAL:  "base/1" is not a valid data directory',
  'says-standby-signal': 'FATAL:  must specify restore_command when standby mode is not enabled',
  'says-redo-not-found': 'FATAL:  could not find redo location referenced by checkpoint record',
  'says-origins-damaged': 'PANIC:  replication checkpoint has wrong magic 0 instead of 307747550',
  'says-slot-damaged': 'PANIC:  replication slot file "pg_replslot/s/state" has wrong magic number: 0 instead of 17112225',
  'says-control-damaged': 'FATAL:  incorrect checksum in control file',
  'says-filenode-map-damaged': 'FATAL:  relation mapping file "base/5/pg_filenode.map" contains incorrect checksum',
  'says-filenode-map-gone': 'FATAL:  could not open file "base/5/pg_filenode.map": No such file or directory',
  'says-checkpoint-gone': 'PANIC:  could not locate a valid checkpoint record',
  'says-index-damaged': 'ERROR:  index "ledger_pkey" contains corrupted page at block 3',
  'says-transaction-status-gone': 'DETAIL:  Could not open file "pg_xact/0000": No such file or directory.',
  'says-database-gone': 'DETAIL:  The database subdirectory "base/5" is missing.',
  'says-file-gone': 'FATAL:  could not open file "global/2671": No such file or directory',
  'says-file-too-short': 'ERROR:  could not read block 3 in file "base/5/16384": read only 0 of 8192 bytes',
  'says-page-invalid': 'ERROR:  invalid page in block 0 of relation base/5/16384',
  'says-transaction-status-unknown': 'ERROR:  could not access status of transaction 4242',
});
