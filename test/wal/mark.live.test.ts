import { expect, test } from 'vitest';
import { readMark } from '../../src/wal/mark.ts';
import { untilMarked } from '../fault/wal.ts';
import { ask } from '../harness/ask.ts';
import { boot } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

test('the mark goes on in the next segment when it has seen the last of one', async () => {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  const running = await boot(instance);
  for (let round = 1; round <= 3; round += 1) {
    await ask(instance, 'app', `CREATE TABLE t${round} AS SELECT 1 AS id`, 'SELECT pg_switch_wal()');
    await untilMarked(instance); // Here nothing is written to that segment any more.
  }
  await ask(instance, 'app', 'CREATE TABLE last AS SELECT 1 AS id');
  await untilMarked(instance);
  const mark = await readMark(instance.stateDir, instance.dataDir, undefined);
  const [now] = await ask<{ segment: string }>(instance, 'app', 'SELECT pg_walfile_name(pg_current_wal_flush_lsn()) AS segment');
  expect(mark?.segment).toBe(now!.segment);
  await running.stop();
});
