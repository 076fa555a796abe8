import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectRightAfterKill } from './kill-stories.ts';

const ADDED = 10;

for (const step of ['snapshot.copied', 'dump.swapping'] as const) {
  scenario(
    {
      longTier: step === 'snapshot.copied',
      name: `dbkit was killed at \`${step}\` of \`snapshot restore\``,
      section: 'A',
      detectedBefore: true,
      healedBy: 'start',
      rowsLost: 'none',
      from: 'template',
    },
    async (instance) => {
      const running = await boot(instance);
      expect(await run(instance, ['snapshot', 'save', 'before'])).toMatchObject({ code: 0 });
      await addRows(instance, known.ledger + 1, ADDED);
      const killed = await run(instance, ['snapshot', 'restore', 'before'], { env: { DBKIT_FAIL_AT: step } });
      expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
      await expectAllRows(instance, ADDED); // Nothing was swapped, and the database lets everybody in.
      const again = await run(instance, ['snapshot', 'restore', 'before', '--json']);
      expect(again, again.stderr).toMatchObject({ code: 0 });
      await expectAllRows(instance, 0);
      const { replaced } = (JSON.parse(again.stdout) as { report: { replaced: string } }).report;
      expect(await askNumber(instance, replaced, 'SELECT count(*) FROM ledger'), 'what was there').toBe(known.ledger + ADDED);
      const left = await ask(instance, 'postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'dbkit_restore_%'");
      expect(left, 'what the killed restore left is dropped').toEqual([]);
      await running.stop();
      await expectRightAfterKill(instance, () => expectAllRows(instance, 0));
    },
  );
}
