import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { overwritePage } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';

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
    await second.stop();

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
