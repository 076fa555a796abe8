import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { overwritePage } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'a page of a table was lost and there was no backup: every boot and every backup says so until a person accepts it',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that page, told',
    from: 'template',
  },
  async (instance) => {
    await (await boot(instance)).stop();
    await overwritePage(instance, instance.places.ledger, 1);
    const first = await boot(instance);
    expect(first.words()).toMatch(/damaged and not mended/);
    await first.stop();

    const second = await boot(instance);
    expect(second.words()).toMatch(/damaged and not mended: .*ledger.*dbkit recover accept/);
    const health = await run(instance, ['health', '--json']);
    const { probes } = JSON.parse(health.stdout).report as { probes: { name: string; status: string }[] };
    expect(probes.find(({ name }) => name === 'damage')).toMatchObject({ status: 'critical' });
    await run(instance, ['backup', 'create']);
    expect((await run(instance, ['backup', 'list'])).stdout).toMatch(/with known damage/);
    const told = /damaged and not mended: .*ledger[\s\S]*dbkit recover accept/;
    expect((await run(instance, ['status'])).stdout).toMatch(told);
    expect((await run(instance, ['up', '--detach'])).stdout).toMatch(told);
    await second.stop();
    expect((await run(instance, ['recover'])).stdout).toMatch(/^nothing was changed: /);

    const third = await boot(instance);
    expect(third.words(), 'a backup that lacks the same page is not restored').not.toMatch(/restoring/);
    expect(await readdir(join(instance.backupDir, 'quarantine')).catch(() => [])).toEqual([]);
    expect((await run(instance, ['recover', 'accept', '--yes'])).code).toBe(0);
    await third.stop();

    const fourth = await boot(instance);
    expect(fourth.words()).not.toMatch(/damaged and not mended/);
    await fourth.stop();
  },
);

scenario(
  {
    name: 'the file of a table is gone, and its database accepts no connections for a while: nobody says meanwhile that it is mended',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that table, told',
    from: 'template',
  },
  async (instance) => {
    await (await boot(instance)).stop();
    await rm(join(instance.dataDir, instance.places.ledger));
    const lives = async (...statements: string[]): Promise<string> => {
      const running = await boot(instance);
      for (const statement of statements) await ask(instance, statement.startsWith('DROP') ? 'app' : 'postgres', statement);
      await running.stop();
      return running.words();
    };
    const told = /damaged and not mended: .*ledger/;
    expect(await lives('ALTER DATABASE app WITH ALLOW_CONNECTIONS false')).toMatch(told);
    expect(await lives('ALTER DATABASE app WITH ALLOW_CONNECTIONS true'), 'silence says nothing of it').toMatch(told);
    expect(await lives('DROP TABLE ledger CASCADE')).toMatch(told);
    expect(await lives(), 'the server knows no such table any more').not.toMatch(/damaged and not mended/);
  },
);

scenario(
  {
    name: 'a table was damaged and restored, and a person undid the restore: the damage comes back with the data, is told, and is not restored again',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that page, told',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 10);
    await expectStopped(instance, await running.stop());
    await overwritePage(instance, instance.places.ledger, 1);
    const restored = await boot(instance);
    expect(restored.words()).toMatch(/restoring/);
    await expectAllRows(instance, 10);
    await restored.stop();
    const [label = ''] = (await readdir(join(instance.backupDir, 'quarantine'))).filter((name) => name.startsWith('corrupt_'));
    expect((await run(instance, ['backup', 'undo', label, '--yes'])).code).toBe(0);

    for (let start = 0; start < 2; start += 1) {
      const undone = await boot(instance);
      expect(undone.words()).toMatch(/damaged and not mended/);
      expect(undone.words(), 'a person has chosen').not.toMatch(/restoring/);
      await undone.stop();
    }
    expect((await run(instance, ['backup', 'undo', '--yes'])).code).toBe(0);
    const whole = await boot(instance);
    expect(whole.words()).not.toMatch(/damaged and not mended/);
    await expectAllRows(instance, 10);
    await whole.stop();
  },
);

scenario(
  {
    name: 'dbkit was killed between a restore and its memory of what the backup lacks: every boot says so all the same',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that page, told',
    from: 'template',
  },
  async (instance) => {
    await (await boot(instance)).stop();
    await overwritePage(instance, instance.places.ledger, 1);
    const damaged = await boot(instance);
    await run(instance, ['backup', 'create']);
    await ask(instance, 'app', 'DROP TABLE ledger CASCADE'); // The data of today has no damage any more.
    await damaged.stop();
    const sound = await boot(instance);
    await sound.stop();
    expect(sound.words()).not.toMatch(/damaged and not mended/);
    const [label = ''] = (await readdir(instance.backupDir)).filter((name) => /^data_\d+_\d+$/.test(name));
    const killed = await run(instance, ['backup', 'restore', label, '--yes'], { env: { DBKIT_FAIL_AT: 'replace.published:1' } });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });

    for (let start = 0; start < 2; start += 1) {
      const restored = await boot(instance);
      expect(restored.words()).toMatch(/damaged and not mended: .*ledger/);
      const { probes } = JSON.parse((await run(instance, ['health', '--json'])).stdout).report as {
        probes: { name: string; status: string }[];
      };
      expect(probes.find(({ name }) => name === 'damage')).toMatchObject({ status: 'critical' });
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM documents WHERE checksum = md5(body)')).toBe(known.documents);
      expect(await askNumber(instance, 'archive', 'SELECT count(*) FROM ledger')).toBe(known.archive);
      const [{ rows = 0 } = {}] = await ask<{ rows: number }>(
        instance,
        'app',
        'SET zero_damaged_pages = on',
        'SELECT count(note)::int AS rows FROM ledger',
      );
      expect([rows > 0, rows < known.ledger], `${rows} rows of the other pages`).toEqual([true, true]);
      await restored.stop();
    }
  },
);
