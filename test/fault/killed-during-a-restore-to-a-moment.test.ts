import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectRightAfterKill } from './kill-stories.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const [BEFORE, AFTER] = [10, 5];
const steps = ['restore.files-copied:1', 'server.spawned:1', 'restore.staged:1', 'replace.entry-set-aside:9', 'replace.entry-published:2'];
const daily = new Set(['replace.entry-published:2']);

/** A backup, rows after it, a moment, more rows, a clean stop. Resolves to the moment. */
async function stage(instance: Instance): Promise<string> {
  const running = await boot(instance);
  await takeBackup(instance);
  await addRows(instance, known.ledger + 1, BEFORE);
  const [row] = await ask<{ lsn: string }>(instance, 'app', 'SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await addRows(instance, known.ledger + BEFORE + 1, AFTER);
  await expectStopped(instance, await running.stop());
  return row!.lsn;
}

/** The data is of the moment or of today, whole; where it was swapped, the other is an undo away. */
async function expectEitherWhole(instance: Instance): Promise<void> {
  const added = (await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')) - known.ledger;
  expect([BEFORE, BEFORE + AFTER]).toContain(added);
  await expectAllRows(instance, added);
  const undone = await run(instance, ['backup', 'undo', '--yes']);
  if (undone.code === 0) await expectAllRows(instance, added === BEFORE ? BEFORE + AFTER : BEFORE);
  else expect({ added, said: undone.stderr }).toMatchObject({ added: BEFORE + AFTER, said: expect.stringContaining('nothing to undo') });
}

for (const step of steps) {
  scenario(
    {
      name: `dbkit was killed at \`${step}\` of a restore to a moment`,
      longTier: !daily.has(step),
      section: 'A',
      detectedBefore: true,
      healedBy: 'start',
      rowsLost: 'none',
      from: 'template',
    },
    async (instance) => {
      const moment = await stage(instance);
      const words = ['backup', 'restore', '--to-lsn', moment, '--exclusive', '--yes'];
      const killed = await run(instance, words, { env: { DBKIT_FAIL_AT: step } });
      expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
      await expectRightAfterKill(instance, () => expectEitherWhole(instance));
    },
  );
}
