import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MARK } from '../../src/cluster/drill/table.ts';
import { SCHEMA } from '../../src/cluster/drill/writers.ts';
import { program } from '../harness/dbkit.ts';
import { until } from '../harness/processes.ts';
import { bringUpGuarded, type GuardedLab } from './guarded-lab.ts';
import { missing } from './lab.ts';

const FIRST_PORT = 11_500; // Below those that other tests take (test/harness/ports.ts).

/** The cluster that a person has: it is harmed, measured, and whole again. */
describe.skipIf(missing.length > 0)('drills on the cluster that runs already', () => {
  let base: string;
  beforeAll(() => {
    base = mkdtempSync('/tmp/dbkit-he-'); // Short: a path of a socket has 107 bytes.
    chmodSync(base, 0o755);
    expect(ha('up', '--first-port', String(FIRST_PORT))).toMatchObject({ status: 0 });
  });
  afterAll(() => {
    ha('down');
    rmSync(base, { recursive: true, force: true });
  });

  const args = (...words: readonly string[]) => [program, '--local', join(base, 'd'), 'ha', ...words, '--json'];
  const at = () => ({ cwd: base, env: { PATH: process.env['PATH'] } });
  const ha = (...words: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args(...words), { ...at(), encoding: 'utf8' });
    const document = JSON.parse(stdout) as { readonly report: Record<string, unknown>; readonly failure: Record<string, unknown> };
    return { status, stderr, ...document };
  };
  const trialOf = (name: string): unknown => {
    const { status, stderr, report } = ha('drill', name, '--here', '--yes');
    expect([0, 1], stderr).toContain(status); // How long it takes is a matter of the machine; what is lost is not.
    return (report['trials'] as readonly unknown[])[0];
  };
  const isWell = () =>
    until(
      () => ha('check').report['status'] === 'ok',
      () => JSON.stringify(ha('check').report['findings']),
      120_000,
    );
  const schemas = async (): Promise<readonly string[]> => {
    const name = readdirSync(base, { recursive: true, encoding: 'utf8' }).find((one) => one.endsWith('ha-local/cluster.json'))!;
    const { password } = JSON.parse(readFileSync(join(base, name), 'utf8')) as { readonly password: string };
    const session = new pg.Client({ host: '127.0.0.1', port: FIRST_PORT + 5, user: 'postgres', password, database: 'postgres' });
    await session.connect();
    try {
      const { rows } = await session.query("select nspname from pg_namespace where nspname !~ '^pg_|^information_schema$'");
      return (rows as { readonly nspname: string }[]).map(({ nspname }) => nspname);
    } finally {
      await session.end();
    }
  };

  test('without a terminal and without --yes nothing is done; what cannot be undone is refused with --yes too', () => {
    expect(ha('drill', 'switchover-under-load', '--here')).toMatchObject({
      status: 77,
      failure: { code: 'prompt.refused', changed: false },
    });
    for (const name of ['leader-node', 'replica-lost', 'cold-start', 'etcd-down', 'partition'])
      expect(ha('drill', name, '--here', '--yes')).toMatchObject({ status: 77, failure: { code: 'recovery.refused' } });
    expect(ha('report').report).toMatchObject({ trials: [] });
  });

  test('a switchover under load: no client of PgBouncer sees an error, no row is lost, nothing is left behind', async () => {
    await isWell();
    const trial = trialOf('switchover-under-load') as { readonly leaderBefore: string; readonly leaderAfter: string };
    expect(trial).toMatchObject({ here: true, lostRows: 0, errors: 0, twoWritableSeconds: 0, redundantSeconds: expect.any(Number) });
    expect(trial.leaderAfter).not.toBe(trial.leaderBefore);
    expect(await schemas()).toEqual(['public']);
  });

  test('the leader’s Patroni is killed: its guard starts another, no row is lost', async () => {
    await isWell();
    expect(trialOf('patroni-killed')).toMatchObject({
      here: true,
      lostRows: 0,
      twoWritableSeconds: 0,
      redundantSeconds: expect.any(Number),
    });
    expect(await schemas()).toEqual(['public']);
    expect(ha('report').report['trials']).toHaveLength(2);
  });

  test('Ctrl-C while the leader is frozen: it goes on, the table is gone, and the cluster comes back whole', async () => {
    await isWell();
    const drill = spawn(process.execPath, args('drill', 'freeze', '--here', '--yes'), { ...at(), stdio: 'ignore' });
    const ended = once(drill, 'exit');
    await until(
      () => stopped(base).length >= 3, // dbkit, Patroni and the server; backends show neither folder nor environment.
      () => 'nothing stands still',
      60_000,
    );
    drill.kill('SIGINT');
    expect((await ended)[0]).toBe(130);
    expect(stopped(base)).toEqual([]);
    await isWell();
    expect(await schemas()).toEqual(['public']);
  });
});

/** As on machines of their own: each member has a configuration, a state folder and a dbkit, and whoever asks may have none of them. */
describe.skipIf(missing.length > 0)('drills on a cluster of ha.members', () => {
  let lab: GuardedLab;
  beforeAll(async () => {
    lab = await bringUpGuarded({ firstPort: 11_680, stores: 1 });
  });
  afterAll(async () => {
    await lab?.down();
  });
  const whole = { here: true, guarded: true, lostRows: 0, twoWritableSeconds: 0, redundantSeconds: expect.any(Number) };

  test('a switchover from a machine that is no member; a process is harmed only where the leader is', async () => {
    const elsewhere = lab.ha('drill', 'postmaster', '--here');
    expect(elsewhere).toMatchObject({ status: 77, failure: { message: expect.stringContaining('is not seen on this machine') } });
    const { report, stderr } = lab.ha('drill', 'switchover-under-load', '--here');
    expect(report?.trials, stderr).toMatchObject([{ ...whole, guarded: null, errors: 0 }]); // From there nobody sees a guard.
    await lab.isWell();
  });

  test('a schema of somebody else’s is left alone, beside another drill nothing is done, and what a killed one has left is taken', async () => {
    const drill = () => lab.ha('drill', 'switchover-under-load', '--here');
    const load = await lab.load(); // Into a schema of the same name, which no drill has marked.
    expect(drill()).toMatchObject({ status: 77, failure: { message: expect.stringContaining('that no drill has made') } });
    await lab.sql(`comment on schema ${SCHEMA} is '${MARK}'`);
    const turn = await lab.turn(); // The clients themselves stand still meanwhile, as this process waits for the drill.
    expect(drill()).toMatchObject({ status: 77, failure: { message: expect.stringContaining('another drill runs') } });
    await turn!.release();
    expect(await load.end()).toMatchObject({ lostRows: 0 });
    const { report, stderr } = drill();
    expect(report?.trials, stderr).toMatchObject([{ ...whole, guarded: null }]);
    expect(await lab.sql(`select from pg_namespace where nspname = '${SCHEMA}'`)).toEqual([]);
    await lab.isWell();
  });

  test('on the leader’s machine its Patroni is killed and stands still, and its guard mends both; on another one nothing is done', async () => {
    const leader = lab.ha('status').report.leader!;
    const other = leader === 'n1' ? 'n2' : 'n1';
    expect(lab.onMember(other, 'ha', 'drill', 'patroni-killed', '--here', '--yes')).toMatchObject({
      status: 77,
      failure: {
        code: 'recovery.refused',
        message: `the server of ${leader}, which leads, is not seen on this machine (drill-here-elsewhere)`,
      },
    });
    for (const name of ['patroni-killed', 'patroni-hung']) {
      const { report, stderr } = lab.onMember(leader, 'ha', 'drill', name, '--here', '--yes');
      expect(report?.trials, stderr).toMatchObject([whole]);
      await lab.isWell();
    }
    expect(lab.ha('status').report.leader).toBe(leader);
  });
});

/** Processes of this cluster that stand still. */
function stopped(folder: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const isOurs = command.includes(folder) || readFileSync(`/proc/${pid}/environ`, 'utf8').includes(folder);
      return /^\d+$/.test(pid) && isOurs && readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.startsWith('T');
    } catch {
      return false; // It has ended, or is no process.
    }
  });
}
