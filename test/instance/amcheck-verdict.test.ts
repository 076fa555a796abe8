import { describe, expect, test } from 'vitest';
import { type AmcheckEnd, type AmcheckRowId, amcheckComplaints, judgeAmcheck } from '../../src/instance/amcheck-verdict.ts';
import { everyRow } from '../harness/every-row.ts';

const heap = 'heap table "app.public.ledger", block 3, offset 1, attribute 2:\n    attribute with length 4294967295 ends at offset 12';
const index =
  'btree index "app.public.ledger_pkey":\n    ERROR:  item order invariant violated for index "ledger_pkey"\n    DETAIL:  Lower index tid=(1,2)';
const error = (message: string): string => `btree index "app.public.ledger_pkey":\n    ERROR:  ${message}\n`;
const full = error('could not write block 7 of temporary file: No space left on device');

everyRow<AmcheckRowId, AmcheckEnd>('the end of pg_amcheck', judgeAmcheck, {
  'amcheck-passed': { exitCode: 0, words: '' },
  'amcheck-not-installed': { exitCode: 1, words: 'pg_amcheck: error: query failed: ERROR:  extension "amcheck" is not available' },
  'amcheck-complained': { exitCode: 2, words: index },
  'amcheck-kept-from-looking': { exitCode: 2, words: full },
  'amcheck-failed': { exitCode: 1, words: 'pg_amcheck: error: connection to server failed' },
});

describe('a check that could not run says nothing of the data', () => {
  test.each([
    'could not extend file "base/5/t3_16400": No space left on device',
    'could not write to file "base/pgsql_tmp/pgsql_tmp1.0": Disk quota exceeded',
    'out of memory\n    DETAIL:  Failed on request of size 1024.',
    'out of shared memory\n    HINT:  You might need to increase max_locks_per_transaction.',
    'could not resize shared memory segment "/PostgreSQL.1" to 1048576 bytes: No space left on device',
    'could not open file "base/5/16400": Too many open files',
    'could not read block 0 in file "base/5/16400": Input/output error',
    'canceling statement due to statement timeout',
    'canceling statement due to user request',
    'server closed the connection unexpectedly\n    This probably means the server terminated abnormally',
    'function amcheck.bt_index_check(unknown) does not exist',
  ])('%s', (message) => {
    expect(judgeAmcheck({ exitCode: 2, words: error(message) }).then).toBe('unknown');
    expect(judgeAmcheck({ exitCode: 2, words: error(message) + heap }).then, 'beside damage').toBe('damaged');
  });
});

test('only what speaks of the data is a complaint', () => {
  expect(amcheckComplaints(`${full}${heap}\n${index}\npg_amcheck: warning: skipping database "x"`)).toEqual([heap, index]);
  expect(judgeAmcheck({ exitCode: 2, words: error('could not open file "base/5/16400": No such file or directory') }).then).toBe('damaged');
});
