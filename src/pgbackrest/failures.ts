import { DbkitError, type FailureCode } from '../kernel/errors.ts';

/** Exit statuses of pgBackRest (its src/build/error/error.yaml) that mean something of their own here; first match wins. */
export const statuses: readonly { readonly statuses: readonly number[]; readonly code: FailureCode; readonly hint: string }[] = [
  { statuses: [26, 95], code: 'data.corrupt', hint: 'run `dbkit backup verify`; another backup may be whole: `dbkit backup list`' },
  {
    statuses: [27, 31, 32, 37, 48],
    code: 'config.invalid',
    hint: 'look at the settings below `pgbackrest:` and at `pgbackrest help`',
  },
  { statuses: [38], code: 'server.running', hint: 'stop the server first; nothing was changed' },
  { statuses: [40, 93], code: 'file.exists', hint: 'name an empty place; nothing was changed' },
  {
    statuses: [28, 51],
    code: 'data.foreign',
    hint: 'the repository is another cluster’s: give this one a stanza or a place of its own (pgbackrest.stanza)',
  },
  { statuses: [44], code: 'wal.foreign', hint: 'the stanza is another cluster’s: give this one its own (pgbackrest.stanza)' },
  { statuses: [45], code: 'wal.conflict', hint: 'find out which cluster writes to this stanza; nothing was overwritten' },
  {
    statuses: [46],
    code: 'program.unusable',
    hint: 'this pgBackRest does not know this PostgreSQL: install a newer one, or set backup.engine to dbkit',
  },
  { statuses: [49, 56, 57, 80], code: 'service.failed', hint: 'check that the server runs: `dbkit status`' },
  { statuses: [50], code: 'lock.held', hint: 'another pgbackrest works on this stanza: wait until it is done' },
  { statuses: [58], code: 'data.foreign', hint: 'set PGDATA and PGPORT to the same cluster' },
  { statuses: [62], code: 'recovery.refused', hint: 'somebody has run `pgbackrest stop`: run `pgbackrest start`' },
  { statuses: [63], code: 'command.failed', hint: 'it was ended by a signal: run it again' },
  { statuses: [68, 87], code: 'server.settings', hint: 'restart the server, which then archives to pgBackRest: `dbkit status` shows it' },
  { statuses: [75], code: 'backup.missing', hint: '`dbkit backup list` shows what there is' },
  { statuses: [82], code: 'store.unavailable', hint: 'see what the archive says: `dbkit health`' },
  { statuses: [88, 89, 105], code: 'store.denied', hint: 'look at the credentials, and at the owner of the repository' },
  { statuses: [101, 103], code: 'store.unavailable', hint: 'check that the repository is mounted, or answers' },
];

/** Words of an operating system in what pgBackRest says: they tell more than its status. */
const systemWords: readonly { readonly said: RegExp; readonly code: FailureCode; readonly hint: string }[] = [
  {
    said: /corruption detected|checksum (mismatch|invalid)|does not match expected (size|checksum)/i,
    code: 'data.corrupt',
    hint: 'run `dbkit backup verify`; another backup may be whole: `dbkit backup list`',
  },
  { said: /No space left on device|Disk quota exceeded/, code: 'volume.full', hint: 'free some space there, and try again' },
  { said: /Read-only file system/, code: 'volume.read-only', hint: 'mount that volume writable and try again' },
  { said: /Input\/output error/, code: 'volume.failing', hint: 'look at `dmesg` and at the mount first' },
  {
    said: /Permission denied|\[13\]/,
    code: 'store.denied',
    hint: 'check the owner of the repository: the server’s user must be able to write there',
  },
  {
    said: /HTTP request failed with 403|AccessDenied|SignatureDoesNotMatch|InvalidAccessKeyId/,
    code: 'store.denied',
    hint: 'look at the credentials and at the bucket',
  },
  { said: /QuotaExceeded/, code: 'volume.full', hint: 'raise the quota of the bucket, and try again' },
  {
    said: /unable to (connect|get address)|Connection (refused|reset|timed out)|timeout connecting|HTTP request failed with 5/,
    code: 'store.unavailable',
    hint: 'check that the repository answers',
  },
];

const SHOWN = 4;

/** The lines that tell why, without their stamps: 'ERROR: [056]: unable to …'. */
export function complaintIn(said: string): string {
  const lines = said
    .split('\n')
    .map((line) =>
      line
        .replace(/^\d{4}-\d\d-\d\d [\d:.]+ P\d+\s+/, '')
        .replace(/^\s*ERROR: \[\d+\]: /, '')
        .trim(),
    )
    .filter((line) => line !== '' && !/^(INFO|WARN|DETAIL)/.test(line));
  return lines.slice(0, SHOWN).join('; ') || 'nothing';
}

/** The meaning of the end of a command, in pgBackRest's own words. */
export function failureOf(command: string, exitCode: number, said: string): DbkitError {
  const row = systemWords.find(({ said: pattern }) => pattern.test(said)) ?? statuses.find((one) => one.statuses.includes(exitCode));
  const message = `pgbackrest ${command} ended with status ${exitCode}: ${complaintIn(said)}`;
  return new DbkitError(row?.code ?? 'tool.failed', message, { hint: row?.hint ?? 'its words above say why' });
}
