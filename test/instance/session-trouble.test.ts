import { describe, expect, test } from 'vitest';
import { dataFileIn, type Trouble, troubleOf, troubleRows, troubleWords } from '../../src/instance/session-trouble.ts';

/** What real servers say, by the row that it falls under; some of it in German, as lc_messages is the owner's choice. */
const cases: readonly (readonly [id: string, sqlState: string | undefined, words: string, standing: string])[] = [
  ['nobody-answered', undefined, 'timeout expired', 'unknown'],
  ['nobody-answered', undefined, 'connect ECONNREFUSED /run/.s.PGSQL.5432', 'unknown'],
  ['connection-failed', '08006', 'connection failure', 'unknown'],
  ['not-let-in', '28000', 'role "postgres" is not permitted to log in', 'unknown'],
  ['not-let-in', '28P01', 'Passwort-Authentifizierung für Benutzer »postgres« fehlgeschlagen', 'unknown'],
  ['too-many-clients', '53300', 'tut mir leid, schon zu viele Verbindungen', 'unknown'],
  ['short-of-resources', '53200', 'out of memory', 'unknown'],
  ['short-of-resources', '53100', 'could not extend file "base/5/16384": No space left on device', 'unknown'],
  ['not-ready', '57P03', 'das Datenbanksystem startet', 'unknown'],
  ['ended-from-outside', '57014', 'canceling statement due to statement timeout', 'unknown'],
  ['ended-from-outside', '57P01', 'terminating connection due to administrator command', 'unknown'],
  ['ended-from-outside', '57P05', 'terminating connection due to idle-session timeout', 'unknown'],
  ['ended-from-outside', '25P03', 'terminating connection due to idle-in-transaction timeout', 'unknown'],
  ['lock-held', '55P03', 'canceling statement due to lock timeout', 'unknown'],
  ['lock-held', '40P01', 'deadlock detected', 'unknown'],
  ['closed-database', '55000', 'cannot connect to invalid database "x"', 'closed'],
  ['no-privilege', '42501', 'permission denied for function pg_ls_dir', 'unknown'],
  ['disk-does-not-answer', '58030', 'could not read block 0 in file "base/5/1259": Input/output error', 'unknown'],
  ['database-directory-missing', '3D000', 'Datenbank »a« existiert nicht\nDas Datenbankunterverzeichnis »base/16384« fehlt.', 'damage'],
  ['no-such-database', '3D000', 'database "a" does not exist', 'closed'],
  ['damaged-page-or-index', 'XX001', 'ungültige Seite in Block 0 von Relation base/5/1259', 'damage'],
  ['damaged-page-or-index', 'XX002', 'index "pg_class_oid_index" contains unexpected zero page at block 0', 'damage'],
  ['file-missing', '58P01', 'konnte Datei »base/5/2659« nicht öffnen: Datei oder Verzeichnis nicht gefunden', 'damage'],
  ['library-missing', '58P01', 'could not access file "nosuch": No such file or directory', 'unknown'],
  ['internal-error-over-a-file', 'XX000', 'relation mapping file "base/5/pg_filenode.map" contains invalid data', 'damage'],
  ['catalogs-contradict', 'XX000', 'cache lookup failed for relation 16384', 'damage'],
  ['anything-else', '42883', 'operator does not exist: oid < integer', 'unknown'],
  ['anything-else', 'ZZ999', 'an error of a major that is not written yet', 'unknown'],
];

describe('what a failed session says about the data', () => {
  test.each(cases)('%s: %s %s', (id, sqlState, words, standing) => {
    const trouble: Trouble = { sqlState, words };
    expect(troubleOf(trouble)).toMatchObject({ id, then: standing });
  });

  test('every row is reached by a case, bears an id of its own, and has words', () => {
    expect(new Set(troubleRows.map(({ id }) => id)).size).toBe(troubleRows.length);
    const endless: Trouble = { sqlState: undefined, words: 'it came to no end', harm: 'endless' };
    expect(troubleOf(endless)).toMatchObject({ id: 'session-without-end', then: 'unknown' });
    expect(troubleOf({ ...endless, harm: 'crash' })).toMatchObject({ id: 'session-that-crashes', then: 'unknown' });
    const reached = new Set(['session-without-end', 'session-that-crashes', ...cases.map(([id]) => id)]);
    expect(troubleRows.map(({ id }) => id).filter((id) => !reached.has(id))).toEqual([]);
    for (const { id } of troubleRows) expect(troubleWords(id)).not.toBe('');
  });

  test('no SQLSTATE of a refusal, a shortage, a time-out or a lock is ever damage, whatever it says', () => {
    for (const sqlState of [
      '08001',
      '08006',
      '28000',
      '28P01',
      '53000',
      '53100',
      '53200',
      '53300',
      '53400',
      '54001',
      '57000',
      '57014',
      '57P01',
      '57P02',
      '57P03',
      '57P04',
      '57P05',
      '55P03',
      '55006',
      '40001',
      '40P01',
      '42501',
      '58030',
      undefined,
    ])
      expect(troubleOf({ sqlState, words: 'could not open file "base/5/1259": No such file or directory' }).then, sqlState).toBe('unknown');
  });
});

test.each([
  ['could not open file "base/5/1259": No such file', 'base/5/1259'],
  ['konnte Datei »global/1262« nicht öffnen', 'global/1262'],
  ['ungültige Seite in Block 3 von Relation pg_tblspc/16400/PG_15_202209061/5/16384', 'pg_tblspc/16400/PG_15_202209061/5/16384'],
  ['Could not open file "pg_xact/0000"', 'pg_xact/0000'],
  ['could not access file "/usr/lib/base/5/x"', undefined],
  ['could not load library "pg_cron"', undefined],
])('%s names %s', (words, path) => {
  expect(dataFileIn(words)).toBe(path);
});
