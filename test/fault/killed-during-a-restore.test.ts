import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { boot, run, start } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { killAllIn } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { everywhere } from '../harness/tier.ts';
import { scenario } from './disaster.ts';
import { expectRightAfterKill } from './kill-stories.ts';
import { random } from './random.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const ADDED = 10;
const swap = [
  'replace.journaled:1',
  'replace.entry-set-aside:1',
  'replace.entry-set-aside:2',
  'replace.entry-set-aside:9',
  'replace.set-aside:1',
  'replace.entry-published:1',
  'replace.entry-published:2',
  'replace.entry-published:9',
  'replace.published:1',
];
/** The daily tier strikes once: where half of the entries are swapped and a supervisor holds the lock. */
const daily = 'a restore under a supervisor at replace.entry-published:2';

/** A backup, rows after it, a clean stop. */
async function stage(instance: Instance): Promise<void> {
  const running = await boot(instance);
  await takeBackup(instance);
  await addRows(instance, known.ledger + 1, ADDED);
  await expectStopped(instance, await running.stop());
}

/** The data is one of the two, whole; the other is an undo away, or nothing was swapped; backups go on. */
async function expectEitherWhole(instance: Instance): Promise<void> {
  const added = (await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')) - known.ledger;
  expect([0, ADDED]).toContain(added);
  await expectAllRows(instance, added);
  const undone = await run(instance, ['backup', 'undo', '--yes']);
  if (undone.code === 0) await expectAllRows(instance, ADDED - added);
  else expect({ added, said: undone.stderr }).toMatchObject({ added: ADDED, said: expect.stringContaining('nothing to undo') });
  await takeBackup(instance);
  const { stdout } = await run(instance, ['backup', 'list', '--json']);
  const { report } = JSON.parse(stdout) as { report: { backups: { state: string }[] } };
  expect(report.backups.map(({ state }) => state)).toEqual(['good', 'good']);
}

const class_ = (name: string, step: string) => ({
  name: `dbkit was killed at \`${step}\` of ${name}`,
  longTier: `${name} at ${step}` !== daily,
  section: 'A' as const,
  detectedBefore: true,
  healedBy: 'start' as const,
  rowsLost: 'none',
  from: 'template' as const,
});

for (const step of ['restore.files-copied:1', 'server.spawned:1', 'restore.staged:1', ...swap]) {
  scenario(class_('`backup restore`', step), async (instance) => {
    await stage(instance);
    const killed = await run(instance, ['backup', 'restore', 'latest', '--yes'], { env: { DBKIT_FAIL_AT: step } });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    await expectRightAfterKill(instance, () => expectEitherWhole(instance));
  });
}

for (const step of swap) {
  scenario(class_('`backup undo`', step), async (instance) => {
    await stage(instance);
    expect(await run(instance, ['backup', 'restore', 'latest', '--yes'])).toMatchObject({ code: 0 });
    const killed = await run(instance, ['backup', 'undo', '--yes'], { env: { DBKIT_FAIL_AT: step } });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    await expectRightAfterKill(instance, () => expectEitherWhole(instance));
  });
}

for (const step of ['restore.files-copied:1', 'restore.staged:1', ...swap]) {
  scenario(class_('a restore under a supervisor', step), async (instance) => {
    await stage(instance);
    const running = await boot(instance, { env: { DBKIT_FAIL_AT: step } });
    const asked = await run(instance, ['backup', 'restore', 'latest', '--yes']);
    expect(asked, asked.stderr).toMatchObject({ code: 69, stderr: expect.stringContaining('was closed in the middle of an answer') });
    expect(await running.ended).toMatchObject({ signal: 'SIGKILL' });
    await expectRightAfterKill(instance, () => expectEitherWhole(instance));
  });
}

const SEEDS = everywhere ? 12 : 2;
const WINDOW_MS = 3_000; // A restore of the template with its boot test takes about as long.

scenario(
  {
    longTier: true, // The daily one, below a supervisor, strikes where it hurts most.
    name: 'dbkit was killed at any time of `backup restore`, again and again',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    await stage(instance);
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const restoring = start(instance, ['backup', 'restore', 'latest', '--yes']);
      await sleep(random(seed) * WINDOW_MS);
      if (seed % 2 === 0)
        await restoring.stop('SIGKILL'); // dbkit alone: the server of its boot test lives on.
      else await killAllIn(instance.root);
      await restoring.ended;
    }
    await expectRightAfterKill(instance, async () => {
      const rows = (): Promise<number> => askNumber(instance, 'app', 'SELECT count(*) FROM ledger');
      const replaced = (await readdir(join(instance.backupDir, 'quarantine')).catch(() => [])).filter((name) =>
        name.startsWith('replaced_'),
      );
      for (const label of replaced) {
        if ((await rows()) === known.ledger + ADDED) break;
        expect(await run(instance, ['backup', 'undo', label, '--yes'])).toMatchObject({ code: 0 });
      }
      await expectAllRows(instance, ADDED); // What was acknowledged last is here, or one undo away.
      await takeBackup(instance);
    });
  },
);
