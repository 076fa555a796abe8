import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster } from './disaster.ts';
import { makeTablespace, place } from './tablespace.ts';

disaster({
  longTier: true,
  name: 'somebody emptied the folder of a tablespace, and there is no backup',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those in that tablespace',
  left: 'clean',
  prepare: async (instance) => {
    await makeTablespace(instance);
    await ask(instance, 'app', 'CREATE TABLE elsewhere TABLESPACE space AS SELECT 1 AS i', 'CREATE TABLE nothing (i int) TABLESPACE space');
  },
  break: async (instance) => {
    const [version] = await readdir(place(instance));
    for (const name of await readdir(join(place(instance), version!))) await rm(join(place(instance), version!, name), { recursive: true });
  },
  expect: {
    finding: 'relation.missing',
    lost: /pg_tblspc/,
    rows: async (instance, added) => {
      await expectAllRows(instance, added);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM nothing')).toBe(0);
      await expect(ask(instance, 'app', 'TABLE elsewhere')).rejects.toThrow(/could not open file/);
    },
    remains: ['relation.missing'],
  },
});
