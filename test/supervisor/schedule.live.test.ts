import { chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { StatusReport } from '../../src/supervisor/report-status.ts';
import { boot, run } from '../harness/dbkit.ts';
import { configure, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';

const [programs] = installed;

test('a backup whose time came while the container was down is made up for once, and status says what is next', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, { tier: 'standard', backup: { afterStart: false, schedule: '0 2 1 1 *' } });
  const job = { expression: '0 2 1 1 *', nextAt: '2026-01-01T02:00:00.000Z', ranAt: null, outcome: null };
  const path = join(instance.stateDir, 'schedule.json');
  await mkdir(instance.stateDir, { recursive: true });
  await writeFile(path, JSON.stringify({ schema: 'dbkit.schedule/v1', jobs: { backup: job } }));
  const { uid, gid } = await stat(instance.dataDir);
  for (const owned of [instance.stateDir, path]) await chown(owned, uid, gid);
  const running = await boot(instance);
  const status = async (): Promise<StatusReport> => JSON.parse((await run(instance, ['status', '--json'])).stdout).report as StatusReport;
  await until(
    async () => (await readFile(path, 'utf8')).includes('"outcome": "done"'), // To ask dbkit each time would take turns with the backup.
    () => `the missed backup is not made up for:\n${running.words()}`,
  );
  const after = await status();
  expect(after.schedule[0]?.outcome).toBe('done');
  expect(after.lastBackup?.state).toBe('good');
  expect(Date.parse(after.schedule[0]!.nextAt!)).toBeGreaterThan(Date.now());
  expect(after.tier).toMatchObject({ tier: 'standard', rpo: { targetSeconds: 900, met: true }, rto: { seconds: null, met: null } });
  const shown = (await run(instance, ['status'])).stdout;
  expect(shown).toMatch(/scheduled backup +next in \d+ d +'0 2 1 1 \*' UTC, last done 20/);
  expect(shown).toMatch(/tier standard +not known +RPO .*: met; RTO not known/);
  await running.stop();
  expect(running.words().match(/the scheduled backup begins/g)).toHaveLength(1);
});
