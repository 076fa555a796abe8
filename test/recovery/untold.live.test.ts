import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { HistoryReport } from '../../src/recovery/list-history.ts';
import { takeBackup } from '../fault/take-backup.ts';
import { truncateTo } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';

test('a restore that a person asked for under a supervisor is one recovery, noted before, and the note goes once a server has served', async () => {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  const running = await boot(instance);
  await takeBackup(instance);
  const ended = await run(instance, ['recover', '--strategy', 'restore', '--yes']);
  expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0 });
  const { stdout } = await run(instance, ['recover', 'history', '--json']);
  const { report } = JSON.parse(stdout) as { report: HistoryReport };
  expect(report.recoveries.map(({ decision, trigger }) => ({ decision, trigger }))).toEqual([{ decision: 'restore', trigger: 'person' }]);
  expect(report.recoveries[0]!.readyAt).toBeDefined();
  const note = join(instance.dataDir, '.dbkit/untold.json');
  await until(
    () => !existsSync(note),
    () => running.words(),
  );
  await running.stop();

  await truncateTo(instance, 'global/pg_control', 0);
  await (await boot(instance)).stop();
  const again = JSON.parse((await run(instance, ['recover', 'history', '--json'])).stdout) as { report: HistoryReport };
  expect(again.report.recoveries).toHaveLength(2);
});
