import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { addRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'pg_class says that a sound table has more pages than it has, and there is a backup: nothing is replaced for an estimate',
    section: 'A',
    detectedBefore: false,
    healedBy: 'serving the rest',
    rowsLost: 'none; a person’s word ends the warning',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await takeBackup(instance);
    await ask(instance, 'app', "UPDATE pg_class SET relpages = relpages + 100 WHERE oid = 'ledger'::regclass");
    await addRows(instance, known.ledger + 1, 10);
    const systemIdentifier = await ask(instance, 'app', 'SELECT system_identifier::text FROM pg_control_system()');
    await expectStopped(instance, await first.stop());

    const running = await boot(instance);
    expect((await readRecovery(instance))?.quarantine ?? null, running.words()).toBe(null);
    expect(running.words()).not.toMatch(/recovery: (restore|reinitialize)/);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 10);
    expect(await ask(instance, 'app', 'SELECT system_identifier::text FROM pg_control_system()')).toEqual(systemIdentifier);
    await expectOtherTables(instance);
    const accepted = await run(instance, ['recover', 'accept', '--yes']);
    expect(accepted.stdout, accepted.stderr).toMatch(/ledger/);
    await expectStopped(instance, await running.stop());
    const again = await boot(instance);
    expect(again.words()).not.toMatch(/damaged/);
    await expectStopped(instance, await again.stop());
  },
);
