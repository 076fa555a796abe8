import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { ask, askNumber, inSession } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { crash } from '../harness/breaking.ts';
import { boot, readRecovery, start } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';
import { segments, untilMarked } from './wal.ts';

scenario(
  {
    name: 'a start whose recovery ended before its WAL did is stopped while it asks the databases: the window is not forgotten with it',
    section: 'C',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'those in the WAL that is gone; the report tells from where on',
    from: 'template',
  },
  async (instance) => {
    const prepared = await boot(instance);
    await ask(instance, 'app', 'ALTER SYSTEM SET max_prepared_transactions = 5');
    await prepared.stop();
    const first = await boot(instance);
    await inSession(instance, 'app', async (client) => {
      await client.query('BEGIN; LOCK TABLE pg_am IN ACCESS EXCLUSIVE MODE');
      await client.query("PREPARE TRANSACTION 'holds a lock that the questions need'");
    });
    const rows = 'SELECT generate_series(1, 10) AS n';
    await ask(instance, 'postgres', 'CHECKPOINT', 'SELECT pg_switch_wal()', `CREATE TABLE later AS ${rows}`);
    await ask(instance, 'postgres', 'SELECT pg_switch_wal()', `INSERT INTO later ${rows}`);
    await untilMarked(instance);
    await crash(instance, first);
    await rm(join(instance.dataDir, (await segments(instance)).sort().at(-1)!));

    const stopped = start(instance, ['entrypoint'], { env: { DBKIT_TRACE: 'boot' } });
    while (!/ server\.ready /.test(stopped.words())) await sleep(20);
    await expectStopped(instance, await stopped.stop());
    expect(stopped.words()).not.toMatch(/postgresql is ready/);
    expect(await readRecovery(instance), stopped.words()).toMatchObject({ losses: [{ kind: 'window' }] });

    const bare = await startBare(instance.programs, instance.dataDir, instance);
    expect(await askNumber(instance, 'postgres', 'SELECT count(*) FROM later')).toBe(10);
    await bare.stop();
  },
);
