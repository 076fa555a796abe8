import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parseLsn } from '../../src/formats/wal-segment.ts';
import { markPaths, readMark } from '../../src/wal/mark.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { crash, flipByte, remove } from '../harness/breaking.ts';
import { boot, inspect, type Running, readRecovery } from '../harness/dbkit.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';
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

/** As `prepared`, and a crash, with a mark of a moment when the file was there. */
async function preparedAndCrashed(instance: Instance, ...after: readonly string[]): Promise<{ file: string; segment: string }> {
  await configure(instance, { postgresql: { settings: { max_prepared_transactions: '5', wal_keep_size: '256MB' } } });
  const running: Running = await boot(instance);
  const insert = `INSERT INTO ledger SELECT ${ledgerRow} FROM generate_series(${known.ledger + 1}, ${known.ledger + 10}) i`;
  await ask(instance, 'app', 'BEGIN', insert, "PREPARE TRANSACTION 'p1'");
  await ask(instance, 'app', 'SELECT pg_switch_wal()', 'CHECKPOINT', 'CREATE TABLE later (id int)');
  const [now] = await ask<{ segment: string }>(instance, 'app', 'SELECT pg_walfile_name(pg_current_wal_lsn()) AS segment');
  const [name] = await readdir(join(instance.dataDir, 'pg_twophase'));
  await until(
    async () => (await readMark(instance.stateDir, instance.dataDir, undefined))?.prepared.includes(name!) === true,
    () => 'no mark names the prepared transaction',
  );
  for (const sql of after) await ask(instance, 'app', sql);
  await crash(instance, running);
  return { file: `pg_twophase/${name}`, segment: now!.segment };
}

scenario(
  {
    ...declared,
    name: 'the state file of a prepared transaction and the WAL of its PREPARE are gone after a crash',
    rowsLost: 'those of that transaction, and that is told',
  },
  async (instance) => {
    const { file, segment } = await preparedAndCrashed(instance);
    const wal = (await readdir(join(instance.dataDir, 'pg_wal'))).filter((name) => /^[0-9A-F]{24}$/.test(name) && name < segment);
    await remove(instance, file, ...wal.map((name) => `pg_wal/${name}`));
    expect((await inspect(instance)).findings.map(({ code }) => code)).toContain('prepared.damaged');
    const running = await boot(instance);
    expect((await readRecovery(instance))?.lost, running.words()).toMatch(new RegExp(`${file}.*does not finish its transaction`));
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  { ...declared, name: 'the state file of a prepared transaction is gone after a crash, and its PREPARE is in the WAL', rowsLost: 'none' },
  async (instance) => {
    await remove(instance, (await preparedAndCrashed(instance)).file);
    const running = await boot(instance);
    await ask(instance, 'app', "COMMIT PREPARED 'p1'");
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 10);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    ...declared,
    name: 'a folder stands in the place of the state file after a crash, and the state folder is gone',
    rowsLost: 'none: it is written again from the WAL of its PREPARE',
  },
  async (instance) => {
    const { file } = await preparedAndCrashed(instance);
    await remove(instance, file);
    await mkdir(join(instance.dataDir, file));
    await rm(instance.stateDir, { recursive: true });
    const running = await boot(instance);
    expect(await readRecovery(instance), running.words()).toMatchObject({ decision: 'repair', lost: 'nothing' });
    await ask(instance, 'app', "COMMIT PREPARED 'p1'");
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 10);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    ...declared,
    name: 'a prepared transaction was committed just before a crash: its file is rightly gone',
    healedBy: 'start',
    rowsLost: 'none',
  },
  async (instance) => {
    await preparedAndCrashed(instance, "COMMIT PREPARED 'p1'");
    expect((await inspect(instance)).findings.map(({ code }) => code)).not.toContain('prepared.damaged');
    const running = await boot(instance);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 10);
    await expectStopped(instance, await running.stop());
  },
);

/** The mark that the crash finds is of a moment that is up to two seconds old. */
for (const isMarkedBefore of [true, false])
  scenario(
    {
      ...declared,
      name: `pg_twophase is gone after a crash, and the mark was written before ${isMarkedBefore ? 'the PREPARE and its checkpoint' : 'the checkpoint alone'}`,
      rowsLost: 'none: it is written again from the WAL of its PREPARE',
    },
    async (instance) => {
      await configure(instance, { postgresql: { settings: { max_prepared_transactions: '5', wal_keep_size: '256MB' } } });
      const running: Running = await boot(instance);
      const marks = Object.values(markPaths(instance.stateDir, instance.dataDir));
      await until(
        () => marks.every((path) => existsSync(path)),
        () => 'there is no mark',
      );
      const earlier = await Promise.all(marks.map((path) => readFile(path)));
      const insert = `INSERT INTO ledger SELECT ${ledgerRow} FROM generate_series(${known.ledger + 1}, ${known.ledger + 10}) i`;
      await ask(instance, 'app', 'BEGIN', insert, "PREPARE TRANSACTION 'p1'");
      const [prepared] = await ask<{ lsn: string }>(instance, 'app', 'SELECT pg_current_wal_insert_lsn() AS lsn');
      await until(
        async () => ((await readMark(instance.stateDir, instance.dataDir, undefined))?.flushedLsn ?? 0n) >= parseLsn(prepared!.lsn),
        () => 'no mark is behind the PREPARE',
      );
      const later = await Promise.all(marks.map((path) => readFile(path)));
      await ask(instance, 'app', 'CHECKPOINT', 'CREATE TABLE later (id int)');
      await crash(instance, running);
      for (const [index, path] of marks.entries()) await writeFile(path, (isMarkedBefore ? earlier : later)[index]!);
      await remove(instance, 'pg_twophase');
      const again = await boot(instance);
      expect(await readRecovery(instance), again.words()).toMatchObject({ decision: 'repair', lost: 'nothing' });
      await ask(instance, 'app', "COMMIT PREPARED 'p1'");
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 10);
      await expectStopped(instance, await again.stop());
    },
  );
