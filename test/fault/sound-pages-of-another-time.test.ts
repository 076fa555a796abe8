import { readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber, askText } from '../harness/ask.ts';
import { flipByte, zero } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { treeOf } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { killAllIn, untilNoneIn } from '../harness/processes.ts';
import { known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { takeBackup } from './take-backup.ts';
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

scenario(
  {
    name: 'an older version of a table was put in its place, and a bit of pg_control’s padding flipped: that does not void what is known of all other files',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none: rolled forward to the last commit',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'app', 'CHECKPOINT');
    const path = join(instance.dataDir, instance.places.ledger);
    const older = await readFile(path);
    await takeBackup(instance);
    await ask(instance, 'app', 'UPDATE ledger SET amount = -7 WHERE id <= 10');
    await expectStopped(instance, await first.stop());
    await writeFile(path, older.subarray(0, (await readFile(path)).length));
    await flipByte(instance, 'global/pg_control', 4_000);

    const running = await boot(instance);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE amount = -7'), running.words()).toBe(10);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'the data directory was copied without its times, an older version of a table was put in its place, and neither a backup nor the WAL tells what it held',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'not known, and told so',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'app', 'CHECKPOINT');
    const path = join(instance.dataDir, instance.places.ledger);
    const older = await readFile(path);
    await ask(instance, 'app', 'UPDATE ledger SET amount = -7 WHERE id <= 10');
    await stopWithoutWal(instance, first);
    await writeFile(path, older.subarray(0, (await readFile(path)).length));
    const now = new Date();
    for (const file of Object.keys(await treeOf(instance.dataDir)))
      await utimes(join(instance.dataDir, file), now, now).catch(() => undefined);

    const planned = await run(instance, ['recover', '--dry-run']);
    expect(planned.stdout, planned.stderr).toMatch(/not known/);
    const killed = await run(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: 'server.voided-inventory:1' } });
    expect(killed, 'from here on no inventory tells it').toMatchObject({ signal: 'SIGKILL' });
    const running = await boot(instance);
    expect(await readRecovery(instance), running.words()).toMatchObject({
      decision: 'start',
      quarantine: null,
      losses: [{ kind: 'unknown', reason: 'copied' }],
    });
    expect(running.words()).toMatch(/lost: not known: the directory was copied without the times of its files/);
    await expectStopped(instance, await running.stop());
    const again = await boot(instance);
    expect(again.words()).not.toMatch(/copied/);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'somebody wrote to an unlogged table, and to an index of hashes whose WAL is at hand, while no server ran: neither is believed',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'not known, and told so',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await takeBackup(instance);
    await ask(instance, 'app', 'CREATE INDEX by_hash ON ledger USING hash (amount)', 'CHECKPOINT');
    const path = join(instance.dataDir, await askText(instance, 'app', "SELECT pg_relation_filepath('by_hash')"));
    const older = await readFile(path);
    await ask(instance, 'app', 'UPDATE ledger SET amount = -7 WHERE id <= 10');
    await expectStopped(instance, await first.stop());
    await writeFile(path, older.subarray(0, (await readFile(path)).length));
    await utimes(join(instance.dataDir, instance.places.scratch), new Date(), new Date());

    const running = await boot(instance);
    expect(await readRecovery(instance), running.words()).toMatchObject({ losses: [{ kind: 'unknown', reason: 'touched' }] });
    expect(running.words()).toMatch(/somebody wrote to public\.scratch in app/);
    await ask(instance, 'app', 'ALTER DATABASE app SET enable_seqscan = off');
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE amount = -7')).toBe(10);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'dbkit is killed when it has started the server on an older version of an index: the next start builds it anew',
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
    const recovered = await run(instance, ['recover', '--yes']);
    expect(recovered.stdout + recovered.stderr, 'no server has followed that would build it').toMatch(/not known/);
    for (const step of ['server.voided-inventory:1', 'server.spawned:1']) {
      const killed = await run(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: step } });
      expect(killed.code, killed.stderr).not.toBe(0);
      await killAllIn(instance.dataDir);
      await untilNoneIn(instance.dataDir);
    }

    const running = await boot(instance);
    await ask(instance, 'app', 'ALTER DATABASE app SET enable_seqscan = off');
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE amount = -7'), running.words()).toBe(10);
    await expectStopped(instance, await running.stop());
  },
);
