import { join } from 'node:path';
import type { ConfigInput } from '../../src/config/config.ts';
import type { MonitorCheck } from '../../src/monitor/check.ts';
import { run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';

/** Thresholds for a test's patience; alerts go to a file. */
export const monitored = ({ root }: Pick<Instance, 'root'>): ConfigInput => ({
  monitor: { maxFailures: 2, cooldownSeconds: 0, maxRecoveries: 2 },
  health: { timeoutSeconds: 1 },
  alerts: { environment: 'test', channels: { diary: { type: 'file', path: join(root, 'alerts.jsonl') } } },
});

/** One check, as a timer makes it. */
export async function checkOnce(instance: Instance): Promise<MonitorCheck> {
  const { stdout, stderr } = await run(instance, ['monitor', '--once', '--json']);
  const { report } = JSON.parse(stdout) as { report?: MonitorCheck };
  if (!report) throw new Error(stdout + stderr);
  return report;
}
