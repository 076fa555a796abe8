import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { write } from '../harness/breaking.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster } from './disaster.ts';

disaster({
  name: 'postgresql.auto.conf holds garbage',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  prepare: async (instance) => void (await ask(instance, 'postgres', "ALTER SYSTEM SET work_mem = '6MB'")),
  break: (instance) => write(instance, 'postgresql.auto.conf', "work_mem = '6MB'\n== garbage ==\n"),
  postgresSays: /syntax error in file "[^"]*postgresql\.auto\.conf"/,
  expect: {
    finding: 'conf.broken',
    quarantine: ['postgresql.auto.conf'],
    rows: async (instance, added) => {
      await expectAllRows(instance, added);
      expect(await ask(instance, 'app', 'SHOW work_mem')).toEqual([{ work_mem: '6MB' }]);
    },
  },
});
