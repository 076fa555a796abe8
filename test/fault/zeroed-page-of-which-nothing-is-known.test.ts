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
    expect((await readRecovery(instance))?.losses, 'it is told once').toEqual([{ kind: 'nothing' }]);
    await expectStopped(instance, await again.stop());
  },
);
