import { readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber, askText } from '../harness/ask.ts';
import { zero } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { expectStopped } from './verdict.ts';
import { checkpointSegment, segments } from './wal.ts';

/** Stops it, and makes the WAL before the last checkpoint unreadable. */
async function stopWithoutWal(instance: Instance, running: Awaited<ReturnType<typeof boot>>): Promise<void> {
  await ask(instance, 'app', 'CHECKPOINT', 'SELECT pg_switch_wal()', 'CHECKPOINT');
  await expectStopped(instance, await running.stop());
  const newest = await checkpointSegment(instance);
  for (const segment of await segments(instance)) if (segment < newest) await zero(instance, segment);
}

scenario(
  {
    name: 'an older version of an index was put in its place while no server ran, and neither a backup nor the WAL tells what it held: it is built anew',
    section: 'B',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'app', 'CREATE INDEX ledger_amount ON ledger (amount)', 'CHECKPOINT');
    const path = join(instance.dataDir, await askText(instance, 'app', "SELECT pg_relation_filepath('ledger_amount')"));
    const older = await readFile(path);
    await ask(instance, 'app', 'UPDATE ledger SET amount = -7 WHERE id <= 10');
    await stopWithoutWal(instance, first);
    await writeFile(path, older);

    const running = await boot(instance);
    expect((await readRecovery(instance))?.lost, running.words()).toBe('nothing');
    await ask(instance, 'app', 'ALTER DATABASE app SET enable_seqscan = off');
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE amount = -7')).toBe(10);
    await expectOtherTables(instance);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'a table’s file was written to while no server ran, and neither a backup nor the WAL tells what it held: that is told, once',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'not known, and told so',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'app', 'UPDATE ledger SET amount = amount WHERE id = 1');
    await stopWithoutWal(instance, first);
    await utimes(join(instance.dataDir, instance.places.ledger), new Date(), new Date());

    const running = await boot(instance);
    expect(await readRecovery(instance), running.words()).toMatchObject({
      decision: 'start',
      quarantine: null,
      losses: [{ kind: 'unknown', reason: 'touched' }],
    });
    expect(running.words()).toMatch(/somebody wrote to public\.ledger in app while no server ran/);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
    await expectStopped(instance, await running.stop());
    const again = await boot(instance);
    expect(again.words()).not.toMatch(/while no server ran/);
    await expectStopped(instance, await again.stop());
  },
);
