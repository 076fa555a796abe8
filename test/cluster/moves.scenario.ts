import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../harness/processes.ts';
import { bringUp, type Lab, missing } from './lab.ts';
import { ask, countOf, writeRows } from './ledger.ts';

const title = missing.length === 0 ? 'a cluster' : `a cluster (missing: ${missing.join(', ')})`;

describe.skipIf(missing.length > 0)(title, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await bringUp();
    await ask(lab.writePort, 'create table ledger (id int primary key)');
  });
  afterAll(async () => {
    await lab?.down();
  });
  const leader = async (): Promise<'n1' | 'n2' | 'n3'> => (await lab.ha('status')).json.report['leader'] as 'n1' | 'n2' | 'n3';
  const isWell = () =>
    until(
      async () => (await lab.ha('check', '--strict')).code === 0,
      () => 'the cluster does not become well again',
    );
  const acked: number[] = [];

  test('one leads and takes writes, two stream; the synchronous one would take over', async () => {
    const { report } = (await lab.ha('check')).json;
    expect(report).toMatchObject({
      status: 'ok',
      agreed: true,
      synchronous: true,
      findings: [],
      write: { committed: true, reachesLeader: true },
    });
    const members = report['members'] as { role: string; writable: boolean; streaming: boolean | null }[];
    expect(members.map(({ writable, streaming }) => [writable, streaming]).sort()).toEqual([
      [false, true],
      [false, true],
      [true, null],
    ]);
    expect((await lab.ha('why-not')).json.report).toMatchObject({ wouldFailOver: true, blocked: [] });
  });

  test('a planned switchover under load: clients of PgBouncer see no error, and every acknowledged row is there', async () => {
    const from = await leader();
    const ledger = await writeRows(lab.poolerPort, 4);
    const { code, json, stderr } = await lab.ha('switchover');
    const written = await ledger.stop();
    expect({ code, stderr, errors: written.errors }).toMatchObject({ code: 0, errors: [] });
    expect(json.report).toMatchObject({ from, proof: { timeline: 2 } });
    expect(await leader()).toBe(json.report['to']);
    expect(written.acked.length).toBeGreaterThan(0);
    acked.push(...written.acked);
    expect(await countOf(lab.writePort, acked)).toBe(acked.length);
    expect((await lab.ha('history')).json.report['changes']).toMatchObject([{ timeline: 1, newLeader: json.report['to'] }]);
  });

  test('dbkit was killed in a switchover, and PgBouncer is still paused: the next switchover lets its clients go on', async () => {
    await isWell();
    await ask(lab.poolerPort, 'PAUSE', 'pgbouncer');
    const ledger = await writeRows(lab.poolerPort, 1, 1_000_000);
    await until(
      async () =>
        ((await lab.ha('status')).json.report['findings'] as { id: string }[]).some(({ id }) => /^pooler-(paused|clients-wait)$/.test(id)),
      () => 'nobody has seen that its clients wait',
    );
    const { code, stderr } = await lab.ha('switchover');
    const written = await ledger.stop();
    expect({ code, stderr, errors: written.errors }).toMatchObject({ code: 0, errors: [] });
    expect(written.acked.length).toBeGreaterThan(0);
    acked.push(...written.acked);
    expect(await countOf(lab.writePort, written.acked)).toBe(written.acked.length);
  });

  test('with etcd gone the members are still known, nobody would take over, and it is said', async () => {
    await isWell();
    lab.signalStore('SIGSTOP');
    try {
      await until(
        async () => (await lab.ha('status')).json.report['agreed'] === false,
        () => 'nobody has seen it',
      );
      expect((await lab.ha('check')).code).toBe(2);
      expect((await lab.ha('why-not')).json.report).toMatchObject({ wouldFailOver: false, blocked: [{ id: 'nobody-sees-the-store' }] });
    } finally {
      lab.signalStore('SIGCONT');
    }
    await isWell();
  });

  test('a dead leader of a paused cluster: refused while it was well, then promoted without loss; it rejoins, and is rebuilt', async () => {
    const old = await leader();
    const refused = await lab.ha('failover');
    expect({ code: refused.code, changed: refused.json.failure }).toMatchObject({ code: 77, changed: { changed: false } });
    expect((await lab.ha('pause')).code).toBe(0);
    lab.kill(old);
    await until(
      async () => (await lab.ha('check')).code === 2,
      () => 'nobody has seen it',
    );
    const { code, json, stderr } = await lab.ha('failover');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(json.report).toMatchObject({ lostBytes: 0, proof: { timeline: 4 } });
    expect(await leader()).not.toBe(old);
    expect(await countOf(lab.writePort, acked)).toBe(acked.length);
    expect((await lab.ha('resume')).code).toBe(0);
    lab.start(old);
    expect((await lab.ha('rejoin', old)).code).toBe(0);
    expect((await lab.ha('reinit', await leader())).code).toBe(77);
    expect(await lab.ha('reinit', old)).toMatchObject({ code: 0, json: { report: { member: old, rebuilt: true } } });
    await isWell();
    expect(await countOf(lab.writePort, acked)).toBe(acked.length);
  });
});
