import { expect } from 'vitest';
import { ask, inSession } from '../harness/ask.ts';
import { boot } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'a prepared transaction holds a lock on the roles, and the application’s role is gone: the start does not wait for it',
    section: 'A',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const prepared = await boot(instance);
    await ask(instance, 'postgres', 'ALTER SYSTEM SET max_prepared_transactions = 5');
    await prepared.stop();
    const first = await boot(instance);
    await ask(instance, 'postgres', 'ALTER ROLE app RENAME TO somebody');
    await inSession(instance, 'postgres', async (client) => {
      await client.query('BEGIN; LOCK TABLE pg_authid IN SHARE MODE');
      await client.query("PREPARE TRANSACTION 'holds the roles'");
    });
    await expectStopped(instance, await first.stop());

    const running = await boot(instance);
    expect(running.words()).toMatch(/could not check or create the application’s role and database: .*lock/);
    await ask(instance, 'postgres', "ROLLBACK PREPARED 'holds the roles'");
    await expectStopped(instance, await running.stop());
    const again = await boot(instance);
    expect(again.words()).toMatch(/created role app/);
    await expectStopped(instance, await again.stop());
  },
);
