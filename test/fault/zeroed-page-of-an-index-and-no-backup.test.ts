import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
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

const HASHED = 20_000;

/** Each row is found through the index of hashes. */
async function expectRowsByHash(instance: Instance): Promise<void> {
  const [row] = await ask<{ count: number }>(
    instance,
    'app',
    'SET enable_seqscan = off',
    `SELECT count(*)::int AS count FROM generate_series(1, ${HASHED}) i CROSS JOIN LATERAL (SELECT FROM hashed WHERE id = i) one`,
  );
  expect(row).toEqual({ count: HASHED });
}

for (const [which, blockOf] of [
  ['first page', () => 0],
  ['bucket', () => 5],
  ['overflow page', (pages: number) => pages - 2],
] as const)
  scenario(
    {
      name: `a page of an index of hashes was zeroed while no server ran, and neither a backup nor the WAL says what it held: its ${which}`,
      section: 'B',
      detectedBefore: true,
      healedBy: 'repair',
      rowsLost: 'none',
      from: 'template',
    },
    async (instance) => {
      const first = await boot(instance);
      await ask(
        instance,
        'app',
        `CREATE TABLE hashed AS SELECT i AS id, i % 3 AS kind FROM generate_series(1, ${HASHED}) i`,
        'CREATE INDEX by_hash ON hashed USING hash (id)',
        'CREATE INDEX crowded ON hashed USING hash (kind)',
        'CREATE TABLE grown (id int)',
        'CREATE INDEX with_room ON grown USING hash (id)',
        `INSERT INTO grown SELECT i FROM generate_series(1, ${HASHED + 100}) i`,
      );
      await closeSegment(instance);
      const wanted = which === 'overflow page' ? 'crowded' : 'by_hash';
      const [index] = await ask<{ path: string; pages: number }>(
        instance,
        'app',
        `SELECT pg_relation_filepath('${wanted}') AS path, (pg_relation_size('${wanted}') / 8192)::int AS pages`,
      );
      const [room] = await ask<{ path: string }>(instance, 'app', `SELECT pg_relation_filepath('with_room') AS path`);
      await expectStopped(instance, await first.stop());
      const now = new Date();
      await utimes(join(instance.dataDir, room!.path), now, now);
      const untouched = await boot(instance);
      await expectRowsByHash(instance);
      expect(untouched.words(), 'room for later buckets is no damage, though nothing tells what the index held').not.toMatch(/damaged/);
      await expectStopped(instance, await untouched.stop());
      const newest = await checkpointSegment(instance);
      for (const segment of await segments(instance)) if (segment < newest) await zero(instance, segment);
      await zeroPage(instance, index!.path, blockOf(index!.pages));
      const again = await boot(instance);
      expect(again.words()).toMatch(/by_hash|crowded/);
      await expectRowsByHash(instance);
      const [crowded] = await ask<{ count: number }>(
        instance,
        'app',
        'SET enable_seqscan = off',
        'SELECT count(*)::int AS count FROM hashed WHERE kind = 1',
      );
      expect(crowded).toEqual({ count: Math.ceil(HASHED / 3) });
      await expectAllRows(instance, 0);
      await expectStopped(instance, await again.stop());
    },
  );
