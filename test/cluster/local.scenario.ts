import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../harness/dbkit.ts';
import { missing } from './lab.ts';

const FIRST_PORT = '11400'; // Below those that other tests take (test/harness/ports.ts).

describe.skipIf(missing.length > 0)('a whole cluster on this machine', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'dbkit-local-'));
    chmodSync(folder, 0o755);
  });
  afterAll(() => {
    ha('down');
    rmSync(folder, { recursive: true, force: true });
  });

  const ha = (...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [program, '--local', join(folder, 'd'), 'ha', ...args, '--json', '--yes'],
      {
        cwd: folder,
        env: { PATH: process.env['PATH'] },
        encoding: 'utf8',
      },
    );
    return { status, stderr, ...(JSON.parse(stdout) as { report: Record<string, unknown>; failure?: { message: string } }) };
  };
  const up = () => ha('up', '--members', '2', '--first-port', FIRST_PORT);
  const state = () => {
    const path = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('ha-local/cluster.json'))!;
    return JSON.parse(readFileSync(join(folder, path), 'utf8')) as { processes: { name: string; pid: number }[] };
  };

  test('it comes up within two minutes, refuses to come up twice, moves its leader, and goes down with all that was started', () => {
    const first = up();
    expect({ status: first.status, stderr: first.stderr }).toMatchObject({ status: 0 });
    expect(first.report).toMatchObject({ members: ['n1', 'n2'], writeAddress: '127.0.0.1:11405' });
    expect(Number(first.report['seconds'])).toBeLessThan(120);
    expect(ha('check')).toMatchObject({ status: 0, report: { status: 'ok', write: { committed: true, reachesLeader: true } } });
    expect(up()).toMatchObject({ status: 75, failure: { code: 'server.running' } });
    expect(ha('switchover').status).toBe(0);

    const { processes } = state();
    process.kill(processes.find(({ name }) => name === 'n1')!.pid, 'SIGKILL'); // Its server lives on, and must be ended too.
    const down = ha('down');
    expect(down).toMatchObject({ status: 0, report: { stopped: ['etcd', 'n2', 'haproxy', 'pgbouncer'] } });
    expect(processes.filter(({ pid }) => commandOf(String(pid)) !== '')).toEqual([]); // Not by /proc/PID: a container’s PID 1 may leave zombies.
    const servers = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(folder));
    expect(servers.map(commandOf)).toEqual([]);
    expect(ha('down')).toMatchObject({ status: 0, report: { stopped: [] } });
  });

  test('one that was stopped goes on with its data', () => {
    const again = up();
    expect({ status: again.status, stderr: again.stderr }).toMatchObject({ status: 0 });
    expect(Number((ha('status').report['members'] as { timeline: number }[])[0]!.timeline)).toBeGreaterThan(1);
    expect(ha('up', '--members', '3', '--first-port', FIRST_PORT).status).toBe(75);
    expect(ha('down').status).toBe(0);
    expect(ha('up', '--members', '3', '--first-port', FIRST_PORT)).toMatchObject({ status: 2, failure: { code: 'usage.invalid' } });
  });
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
