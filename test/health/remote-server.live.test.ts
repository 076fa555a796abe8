import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { StampedAlert } from '../../src/alerts/alert.ts';
import type { HealthReport } from '../../src/health/health.ts';
import type { MonitorCheck } from '../../src/monitor/check.ts';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';
import { isLongTier } from '../harness/tier.ts';

const [programs] = installed;

/** A pod's sidecar: it shares the socket with the server, and has neither its files nor its state. */
async function sidecarOf(instance: Instance, folder: 'missing' | 'empty'): Promise<Instance> {
  const [dataDir, stateDir, logDir] = ['sidecar-data', 'sidecar-state', 'sidecar-logs'].map((name) => join(instance.root, name)) as [
    string,
    string,
    string,
  ];
  if (folder === 'empty') await makeDirectory(dataDir, serverUser, 0o700);
  const env = { ...instance.env, PGDATA: dataDir, DBKIT_STATE_DIR: stateDir, LOG_DIR: logDir };
  return { ...instance, dataDir, stateDir, logDir, env };
}
async function once(sidecar: Instance): Promise<MonitorCheck> {
  const { stdout, stderr } = await run(sidecar, ['monitor', '--once', '--json']);
  const { report } = JSON.parse(stdout) as { report?: MonitorCheck };
  if (!report) throw new Error(stdout + stderr);
  return report;
}

test.each(isLongTier ? (['missing', 'empty'] as const) : (['missing'] as const))(
  'a monitor beside a server whose files it does not have (PGDATA is %s): it watches, tells, and begins no new instance',
  async (folder) => {
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const diary = join(instance.root, 'alerts.jsonl');
    await configure(instance, {
      monitor: { maxFailures: 2, cooldownSeconds: 0 },
      health: { timeoutSeconds: 1, disk: { warning: 100, critical: 100 } },
      alerts: { channels: { diary: { type: 'file', path: diary } } },
    });
    const running = await boot(instance);
    const sidecar = await sidecarOf(instance, folder);
    const { report } = JSON.parse((await run(sidecar, ['health', '--json'])).stdout) as { report: HealthReport };
    expect(report.status).toBe('warning');
    expect(report.probes.find(({ name }) => name === 'service')).toMatchObject({
      status: 'skipped',
      summary: `the server answers, but its data directory is not ${sidecar.dataDir} on this machine`,
    });
    expect((await once(sidecar)).verdict).toBe('well');

    const refused = await run(sidecar, ['recover', '--dry-run']);
    expect(refused).toMatchObject({
      code: 77,
      stderr: expect.stringMatching(/a server answers on port \d+ .* there is nothing to recover/),
    });
    expect(refused.stderr).toContain('dbkit backup restore dump_');
    expect((await run(sidecar, ['recover', '--yes'])).code).toBe(77);

    await running.stop();
    expect((await once(sidecar)).action).toBe('count');
    for (let check = 0; check < 3; check += 1)
      expect(await once(sidecar)).toMatchObject({
        verdict: 'failed',
        action: 'tell',
        because: expect.stringMatching(/its files are not here/),
      });
    expect(existsSync(join(sidecar.dataDir, 'PG_VERSION')), 'no new instance is begun').toBe(false);
    const told = (await readFile(diary, 'utf8')).trim().split('\n');
    expect(told.map((line) => (JSON.parse(line) as StampedAlert).title)).toEqual(['the server is down, and cannot be recovered from here']);

    await boot(instance);
    expect((await once(sidecar)).verdict).toBe('well');
    await expectAllRows(instance, 0);
  },
);

test('a sidecar takes dumps over the connection, and brings a database back: beside what is there, checked, swapped by its name', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await boot(instance);
  const sidecar = await sidecarOf(instance, 'missing');
  const taken = await run(sidecar, ['backup', 'create', '--engine', 'dump', '--database', 'app', '--json']);
  expect(taken, taken.stderr).toMatchObject({ code: 0 });
  const { label } = (JSON.parse(taken.stdout) as { report: { backup: { label: string } } }).report.backup;
  await ask(instance, 'app', 'TRUNCATE ledger');
  const restored = await run(sidecar, ['backup', 'restore', label, '--database', 'app', '--yes']);
  expect(restored, restored.stderr).toMatchObject({ code: 0 });
  await expectAllRows(instance, 0);
  expect(existsSync(sidecar.dataDir)).toBe(false);
});

test('where nothing was ever begun a monitor begins nothing', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  await configure(instance, { monitor: { maxFailures: 1, cooldownSeconds: 0 } });
  expect(await once(instance)).toMatchObject({ verdict: 'failed', action: 'tell', recovery: null });
  expect(existsSync(join(instance.dataDir, 'PG_VERSION'))).toBe(false);
});
