import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { oldMajors, upgradeEnvironment, upgradeWords } from './upgrading.ts';
import { expectStopped } from './verdict.ts';

const daily = ['replace.entry-published:2'];
const swap = [
  'replace.journaled:1',
  'replace.entry-set-aside:1',
  'replace.entry-set-aside:9',
  'replace.set-aside:1',
  'replace.entry-published:1',
  'replace.entry-published:2',
  'replace.published:1',
];

/** The old programs or the new ones start it: whichever they are, every row is there, and the other cluster is whole. */
async function expectEitherWhole(instance: Instance): Promise<void> {
  const env = upgradeEnvironment();
  const settled = await run(instance, ['entrypoint', '--', 'true'], { env });
  const isNew = settled.code === 0;
  const running = await boot(instance, isNew ? { env } : {});
  await expectAllRows(instance, 0);
  const major = await askNumber(instance, 'app', "SELECT current_setting('server_version_num')::int / 10000");
  expect(major === instance.programs.major, `it is of PostgreSQL ${major}`).toBe(!isNew);
  await ask(instance, 'app', 'CREATE TABLE after_the_kill (i int)');
  await expectStopped(instance, await running.stop());
  for (const name of ['journal.json', 'incoming', 'staged']) expect(existsSync(join(instance.dataDir, '.dbkit', name)), name).toBe(false);
  if (!isNew) {
    const again = await run(instance, upgradeWords(instance), { env });
    expect(again, again.stderr).toMatchObject({ code: 0 });
    const upgraded = await boot(instance, { env });
    await expectAllRows(instance, 0);
    await expectStopped(instance, await upgraded.stop());
    return;
  }
  const undone = await run(instance, ['backup', 'undo', '--yes']);
  expect(undone, undone.stderr).toMatchObject({ code: 0 });
  const old = await boot(instance);
  await expectAllRows(instance, 0);
  await expectStopped(instance, await old.stop());
}

for (const step of swap) {
  scenario(
    {
      name: `dbkit was killed at \`${step}\` of \`upgrade\``,
      longTier: !daily.includes(step),
      section: 'A',
      detectedBefore: true,
      healedBy: 'start',
      rowsLost: 'none',
      from: 'template',
      majors: oldMajors,
      needs: () => (oldMajors.length === 0 ? 'no older major that can be dumped' : undefined),
    },
    async (instance) => {
      const killed = await run(instance, upgradeWords(instance), { env: { ...upgradeEnvironment(), DBKIT_FAIL_AT: step } });
      expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
      await expectEitherWhole(instance);
    },
  );
}
