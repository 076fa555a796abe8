import { expect, test } from 'vitest';
import { missingFile, zeroedPages } from '../../src/salvage/report.ts';

test.each([
  ['could not open file "base/16384/16421": No such file or directory', { kind: 'relation', path: 'base/16384/16421' }],
  ['could not open file "global/1262": No such file or directory', { kind: 'relation', path: 'global/1262' }],
  [
    'could not access status of transaction 809\nCould not open file "pg_xact/0000": No such file or directory.',
    { kind: 'status', path: 'pg_xact/0000' },
  ],
  [
    'could not access status of transaction 7\nCould not read from file "pg_multixact/offsets/0001" at offset 8192: read too few bytes.',
    { kind: 'status', path: 'pg_multixact/offsets/0001' },
  ],
  ['could not open file "base/16384/../../../etc/passwd": No such file or directory', undefined],
  ['could not open file "/etc/shadow": Permission denied', undefined],
  ['missing chunk number 0 for toast value 16400 in pg_toast_16390', undefined],
])('%s', (words, file) => {
  expect(missingFile(words)).toEqual(file);
});

test('pages that a server took for empty are counted once, in the words of PostgreSQL 18 too', () => {
  const log = `
2026-11-21 08:05:50 UTC [1] WARNING:  invalid page in block 3 of relation base/16384/16421; zeroing out page
2026-11-21 08:05:51 UTC [1] WARNING:  invalid page in block 3 of relation base/16384/16421; zeroing out page
2026-11-21 08:05:52 UTC [1] WARNING:  invalid page in block 4 of relation "base/16384/16421"; zeroing out page
2026-11-21 08:59:08.314 UTC [2] LOG:  page verification failed, calculated checksum 29504 but expected 25070
2026-11-21 08:59:08.314 UTC [2] LOG:  invalid page in block 7 of relation "base/16384/16421"; zeroing out page
2026-11-21 08:59:08.314 UTC [2] LOG:  invalid page in block 9 of relation "base/16384/16421"; zeroing out page
2026-11-21 08:59:08.314 UTC [3] WARNING:  zeroing out 2 invalid pages among blocks 7..10 of relation "base/16384/16421"
2026-11-21 08:59:08.314 UTC [3] DETAIL:  Block 7 held the first zeroed page.
2026-11-21 08:59:08.314 UTC [3] HINT:  See server log for the other 1 zeroed block(s).
2026-11-21 08:05:53 UTC [1] WARNING:  invalid page in block 1 of relation base/5/2619; zeroing out page`;
  expect(Object.fromEntries([...zeroedPages(log)].map(([path, pages]) => [path, pages.size]))).toEqual({
    'base/16384/16421': 4,
    'base/5/2619': 1,
  });
});
