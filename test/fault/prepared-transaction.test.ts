import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { flipByte, remove } from '../harness/breaking.ts';
import { boot, inspect, readRecovery } from '../harness/dbkit.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { known, ledgerRow } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

/** A prepared transaction that a checkpoint has written to its state file, and a clean stop; the file's name. */
async function prepared(instance: Instance): Promise<string> {
  await configure(instance, { postgresql: { settings: { max_prepared_transactions: '5' } } });
  const running = await boot(instance);
  const insert = `INSERT INTO ledger SELECT ${ledgerRow} FROM generate_series(${known.ledger + 1}, ${known.ledger + 10}) i`;
  await ask(instance, 'app', 'BEGIN', insert, "PREPARE TRANSACTION 'p1'");
  await ask(instance, 'app', 'CHECKPOINT');
  await expectStopped(instance, await running.stop());
  const [name] = await readdir(join(instance.dataDir, 'pg_twophase'));
  return `pg_twophase/${name}`;
}

async function expectItsRows(instance: Instance): Promise<void> {
  expect((await inspect(instance)).findings.map(({ code }) => code)).toEqual(['prepared.damaged']);
  const running = await boot(instance);
  expect(await readRecovery(instance), running.words()).toMatchObject({ decision: 'repair', lost: 'nothing' });
  await ask(instance, 'app', "COMMIT PREPARED 'p1'");
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 10);
  await expectStopped(instance, await running.stop());
  expect((await inspect(instance)).findings).toEqual([]);
}

const declared = { section: 'B', detectedBefore: true, healedBy: 'repair', from: 'template' } as const;

scenario(
  { ...declared, name: 'the state file of a prepared transaction is gone', rowsLost: 'none: a copy was kept at the last clean stop' },
  async (instance) => {
    await remove(instance, await prepared(instance));
    await expectItsRows(instance);
  },
);

scenario(
  {
    ...declared,
    name: 'the state file of a prepared transaction is damaged, and the state folder is gone',
    rowsLost: 'none: it is written again from the WAL of its PREPARE',
  },
  async (instance) => {
    await flipByte(instance, await prepared(instance), 60);
    await rm(instance.stateDir, { recursive: true });
    await expectItsRows(instance);
  },
);
