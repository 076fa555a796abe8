import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { crash, zero, zeroPage } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { expectStopped } from './verdict.ts';
import { checkpointSegment, segments } from './wal.ts';

scenario(
  {
    name: 'a page of a table holds zeroes after a crash, and neither a backup nor the WAL says if something was there: that is told, and nothing is replaced',
    section: 'C',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'those of that page',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'app', 'SELECT pg_switch_wal()', 'CHECKPOINT');
    await crash(instance, first);
    const newest = await checkpointSegment(instance);
    for (const segment of await segments(instance)) if (segment < newest) await zero(instance, segment);
    await zeroPage(instance, instance.places.ledger, 3);

    const running = await boot(instance);
    expect(await askNumber(instance, 'app', 'SELECT count(amount) FROM ledger')).toBeLessThan(known.ledger);
    await expectOtherTables(instance);
    const report = await readRecovery(instance);
    expect(report, running.words()).toMatchObject({
      decision: 'start',
      quarantine: null,
      losses: [{ kind: 'unknown', reason: 'zero-pages' }],
      lost: expect.stringMatching(/^not known: pages hold zeroes/),
    });
    expect(report?.findings).toContainEqual(
      expect.objectContaining({ code: 'page.unknown', path: instance.places.ledger, blocks: [3], severity: 'info' }),
    );
    expect(running.words()).toMatch(/pages of public\.ledger in app hold zeroes.*backup create/);
    await crash(instance, running);
    const again = await boot(instance);
    expect((await readRecovery(instance))?.losses, 'nothing proves more at the next crash').toMatchObject([{ reason: 'zero-pages' }]);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'a lost page is known, and a crash comes: what was proven stays so, although nothing proves it again',
    section: 'C',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that page',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'app', 'SELECT pg_switch_wal()', 'CHECKPOINT');
    await expectStopped(instance, await first.stop());
    const newest = await checkpointSegment(instance);
    for (const segment of await segments(instance)) if (segment < newest) await zero(instance, segment);
    await zeroPage(instance, instance.places.ledger, 3);
    const second = await boot(instance);
    expect(second.words()).toMatch(/damaged and not mended: .*ledger/);
    await crash(instance, second);
    for (const start of ['third', 'fourth']) {
      const running = await boot(instance);
      expect(running.words(), start).toMatch(/damaged and not mended: .*ledger/);
      await expectOtherTables(instance);
      await crash(instance, running);
    }
  },
);
