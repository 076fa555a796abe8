import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { crash, zero, zeroPage } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';
import { known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { expectStopped } from './verdict.ts';
import { checkpointSegment, segments } from './wal.ts';

const BULK_ROWS = 22_000; // Of 7 kB each: more than a start reads before it is ready.

/** Two tables with a page of zeroes each after a crash, of which nothing is known; the paths of them. */
async function zeroedBeyond(instance: Instance): Promise<readonly string[]> {
  const first = await boot(instance);
  await ask(
    instance,
    'app',
    `CREATE TABLE bulk AS SELECT i AS id, rpad(i::text, 7000, 'x')::char(7000) AS filler FROM generate_series(1, 0) i`,
    'ALTER TABLE bulk ALTER filler SET STORAGE PLAIN',
    `INSERT INTO bulk SELECT i, rpad(i::text, 7000, 'x') FROM generate_series(1, ${BULK_ROWS}) i`,
    'SELECT pg_switch_wal()',
    'CHECKPOINT',
  );
  const [bulk] = await ask<{ path: string }>(instance, 'app', `SELECT pg_relation_filepath('bulk') AS path`);
  await crash(instance, first);
  const newest = await checkpointSegment(instance);
  for (const segment of await segments(instance)) if (segment < newest) await zero(instance, segment);
  const zeroed = [instance.places.ledger, bulk!.path];
  await zeroPage(instance, zeroed[0]!, 3);
  await zeroPage(instance, zeroed[1]!, 20_000);
  return zeroed;
}

const toldIn = async (instance: Instance): Promise<readonly string[]> =>
  ((await readRecovery(instance))?.findings ?? []).filter(({ code }) => code === 'page.unknown').map(({ path }) => path);

scenario(
  {
    name: 'a page of a table holds zeroes after a crash, where more is to be proven than a start has time for: it is told once it was read beside the running server',
    section: 'C',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'those of that page',
    from: 'template',
  },
  async (instance) => {
    const zeroed = await zeroedBeyond(instance);
    const running = await boot(instance);
    expect(running.words()).toMatch(/the rest is read beside the running server/);
    expect(await askNumber(instance, 'app', 'SELECT count(amount) FROM ledger')).toBeLessThan(known.ledger);
    await expectOtherTables(instance);
    await until(
      async () => {
        const paths = await toldIn(instance);
        return zeroed.every((path) => paths.includes(path));
      },
      () => running.words(),
    );
    expect(await readRecovery(instance)).toMatchObject({
      decision: 'start',
      quarantine: null,
      losses: [{ kind: 'unknown', reason: 'zero-pages' }],
    });
    const { stdout } = await run(instance, ['status', '--json']);
    expect(JSON.parse(stdout).report.lastRecovery.lost).toMatch(/^not known: pages hold zeroes/);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'the start after a crash had no time for all pages, and dbkit was stopped before they were read: the next start goes on',
    section: 'C',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'those of that page',
    from: 'template',
  },
  async (instance) => {
    const zeroed = await zeroedBeyond(instance);
    const running = await boot(instance);
    await expectStopped(instance, await running.stop());
    const inTime = await toldIn(instance);
    const again = await boot(instance);
    await until(
      async () => {
        const paths = [...inTime, ...(await toldIn(instance))];
        return zeroed.every((path) => paths.includes(path));
      },
      () => again.words(),
    );
    expect(await askNumber(instance, 'app', 'SELECT count(amount) FROM ledger')).toBeLessThan(known.ledger);
    await until(
      async () => !existsSync(join(instance.dataDir, '.dbkit/proof-owed.json')),
      () => again.words(),
    );
    await expectStopped(instance, await again.stop());
    const third = await boot(instance);
    expect(third.words(), 'it has been done').not.toMatch(/beside the running server/);
    await third.stop();
  },
);
