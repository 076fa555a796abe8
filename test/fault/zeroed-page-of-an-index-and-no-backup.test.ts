import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { zero, zeroPage } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows, known } from '../harness/rows.ts';
import { disaster, scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';
import { checkpointSegment, segments } from './wal.ts';

/** All of them, and again through the index that was harmed. */
async function expectRowsByKey(instance: Instance, added: number): Promise<void> {
  await expectAllRows(instance, added);
  const all = known.ledger + added;
  const byKey = `SELECT count(amount)::int AS count FROM ledger WHERE id BETWEEN 1 AND ${all}`;
  const [row] = await ask<{ count: number }>(instance, 'app', 'SET enable_seqscan = off', 'SET enable_bitmapscan = off', byKey);
  expect(row).toEqual({ count: all });
}

const closeSegment = (instance: Instance): Promise<unknown> => ask(instance, 'app', 'SELECT pg_switch_wal()', 'CHECKPOINT');
async function zeroItsPage(instance: Instance): Promise<void> {
  const newest = await checkpointSegment(instance);
  for (const segment of await segments(instance)) if (segment < newest) await zero(instance, segment);
  await zeroPage(instance, instance.places.ledgerKey, 2);
}

disaster({
  name: 'a page of a user’s index was zeroed while no server ran, and neither a backup nor the WAL says what it held',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'clean',
  startsFirst: true,
  prepare: async (instance) => {
    await closeSegment(instance);
  },
  break: zeroItsPage,
  expect: { finding: 'index.damaged', rows: expectRowsByKey, quarantine: 'none' },
});

scenario(
  {
    name: 'the same, and the start that was to rebuild the index was killed',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await closeSegment(instance);
    await expectStopped(instance, await first.stop());
    await zeroItsPage(instance);
    const killed = await run(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: 'server.spawned:1' } });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    const again = await boot(instance);
    await expectRowsByKey(instance, 0);
    await expectStopped(instance, await again.stop());
  },
);
