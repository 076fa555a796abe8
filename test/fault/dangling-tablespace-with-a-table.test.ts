import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster } from './disaster.ts';
import { loseTablespace, makeTablespace } from './tablespace.ts';

disaster({
  name: 'the disk of a tablespace that holds a table is not mounted',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those on that disk',
  left: 'clean',
  prepare: async (instance) => {
    await makeTablespace(instance);
    await ask(instance, 'app', 'CREATE TABLE elsewhere TABLESPACE space AS SELECT 1 AS i');
  },
  break: loseTablespace,
  expect: {
    finding: 'tablespace.dangling',
    lost: /pg_tblspc/,
    rows: async (instance, added) => {
      await expectAllRows(instance, added);
      await expect(ask(instance, 'app', 'TABLE elsewhere')).rejects.toThrow(/could not open file/);
    },
    remains: ['tablespace.dangling', 'relation.missing'],
  },
});
