import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster } from './disaster.ts';

const ROWS = 300_000;

disaster({
  name: 'crash recovery takes longer than MAX_STARTUP_SECONDS',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none',
  left: 'crashed',
  prepare: async (instance) =>
    void (await ask(instance, 'app', 'CHECKPOINT', `CREATE TABLE bulk AS SELECT i, md5(i::text) FROM generate_series(1, ${ROWS}) i`)),
  break: async () => undefined,
  env: () => ({ MAX_STARTUP_SECONDS: '1' }),
  postgresSays: /redo done/,
  expect: {
    finding: 'shutdown.unclean',
    rows: async (instance, added) => {
      await expectAllRows(instance, added);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM bulk')).toBe(ROWS);
    },
  },
});
