import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { zero, zeroPage } from '../harness/breaking.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows, known } from '../harness/rows.ts';
import { disaster } from './disaster.ts';
import { checkpointSegment, segments } from './wal.ts';

/** All of them, and again through the index that was harmed. */
async function expectRowsByKey(instance: Instance, added: number): Promise<void> {
  await expectAllRows(instance, added);
  const all = known.ledger + added;
  const byKey = `SELECT count(amount)::int AS count FROM ledger WHERE id BETWEEN 1 AND ${all}`;
  const [row] = await ask<{ count: number }>(instance, 'app', 'SET enable_seqscan = off', 'SET enable_bitmapscan = off', byKey);
  expect(row).toEqual({ count: all });
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
    await ask(instance, 'app', 'SELECT pg_switch_wal()', 'CHECKPOINT');
  },
  break: async (instance) => {
    const newest = await checkpointSegment(instance);
    for (const segment of await segments(instance)) if (segment < newest) await zero(instance, segment);
    await zeroPage(instance, instance.places.ledgerKey, 2);
  },
  expect: { finding: 'index.damaged', rows: expectRowsByKey, quarantine: 'none' },
});
