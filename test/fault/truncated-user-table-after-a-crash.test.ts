import { ask, askNumber } from '../harness/ask.ts';
import { truncateTo } from '../harness/breaking.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster } from './disaster.ts';

let path = '';

disaster({
  name: 'a user’s table is cut short beside a crash, at the end of a page, where the server reads on without a word',
  section: 'C',
  detectedBefore: false,
  healedBy: 'serving the rest',
  rowsLost: 'those behind the cut',
  left: 'crashed',
  prepare: async (instance) => {
    await ask(instance, 'app', 'CREATE TABLE measured AS SELECT i FROM generate_series(1, 20000) i', 'VACUUM measured', 'CHECKPOINT');
    path = (await ask<{ path: string }>(instance, 'app', `SELECT pg_relation_filepath('measured') AS path`))[0]!.path;
  },
  break: (instance) => truncateTo(instance, path, 8192 * 60),
  expect: {
    finding: 'relation.truncated',
    message: /damaged/,
    rows: async (instance, added) => {
      await expectAllRows(instance, added);
      if ((await askNumber(instance, 'app', 'SELECT count(*) FROM measured')) >= 20_000) throw new Error('nothing was cut');
    },
    lost: /has 60 blocks, and had \d+ at its last VACUUM/,
    remains: ['relation.truncated'],
  },
});
