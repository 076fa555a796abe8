import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { longestGapMs } from '../../src/cluster/drill/overlap.ts';
import { clock } from '../../src/machine/clock.ts';
import { until } from '../harness/processes.ts';
import { bringUpGuarded, type GuardedLab, type Load } from './guarded-lab.ts';
import { missing } from './lab.ts';

const LONG = { timeout: 600_000 };
/** Longer than the lease (ttl 20), and than the guard's patience with it. */
const OUTAGE_MS = 35_000;

describe.skipIf(missing.length > 0)('a cluster with three etcds', () => {
  let lab: GuardedLab;
  beforeAll(async () => {
    lab = await bringUpGuarded({ firstPort: 11_560, stores: 3 });
  }, LONG.timeout);
  afterAll(async () => {
    await lab?.down();
  }, LONG.timeout);

  const leader = (): string => lab.ha('status').report.leader!;
  const findings = (): readonly string[] => lab.ha('check').report.findings!.map(({ id }) => id);
  const isWritten = (load: Load): Promise<void> => {
    const from = load.writers.acked().length;
    return until(
      () => load.writers.acked().length > from + 20,
      () => `no row is acknowledged; ${JSON.stringify(lab.ha('check').report.findings)}`,
    );
  };
  /** The longest time without an acknowledged commit while `work` runs. */
  const longestGapIn = async (load: Load, work: () => Promise<void>): Promise<number> => {
    const fromMs = clock.monotonicMs();
    await work();
    return longestGapMs(load.writers.acksMs('write'), fromMs, clock.monotonicMs());
  };
  const setFailsafe = async (isOn: boolean): Promise<void> => {
    const { api } = lab.plan.members[0]!;
    const body = JSON.stringify({ failsafe_mode: isOn });
    const headers = { 'content-type': 'application/json' };
    expect((await fetch(`http://${api.host}:${api.port}/config`, { method: 'PATCH', body, headers })).status).toBe(200);
    await sleep(5_000); // Two rounds of each Patroni.
  };

  test('one of three is gone, whichever it is: nobody notices', LONG, async () => {
    const before = leader();
    const load = await lab.load();
    await isWritten(load);
    for (const index of [0, 1, 2]) {
      const gapMs = await longestGapIn(load, async () => {
        lab.killStore(index);
        await sleep(12_000);
        expect(lab.ha('check').report.status, JSON.stringify(lab.ha('check').report.findings)).toBe('ok');
        lab.startStore(index);
        await sleep(5_000);
      });
      expect(gapMs, `etcd${index}`).toBeLessThan(5_000);
      expect(leader()).toBe(before);
    }
    expect(await load.end()).toMatchObject({ lostRows: 0, twoWritableMs: 0 });
  });

  test(
    'two of three are gone, with failsafe_mode: the leader stays and takes writes, and `ha check` says why that hangs by a thread',
    LONG,
    async () => {
      await lab.isWell();
      const before = leader();
      const load = await lab.load();
      await isWritten(load);
      const gapMs = await longestGapIn(load, async () => {
        lab.killStore(0);
        lab.killStore(1);
        await sleep(OUTAGE_MS);
        expect(findings()).toContain('failsafe-active');
        lab.startStore(0);
        lab.startStore(1);
        await lab.isWell();
      });
      expect(gapMs).toBeLessThan(8_000);
      expect(leader()).toBe(before);
      const { ackedRows, ...rest } = await load.end();
      expect(rest).toEqual({ lostRows: 0, twoWritableMs: 0 });
      expect(ackedRows).toBeGreaterThan(200);
    },
  );

  test(
    'two of three are gone, without failsafe_mode: the leader gives up, nobody takes writes, and all is there when etcd is back',
    LONG,
    async () => {
      await lab.isWell();
      await setFailsafe(false);
      const load = await lab.load();
      await isWritten(load);
      lab.killStore(1);
      lab.killStore(2);
      await sleep(OUTAGE_MS);
      const { members } = lab.ha('status').report;
      expect(members!.filter(({ writable }) => writable === true)).toEqual([]);
      // Through etcd's API of version 2 (Patroni before 3.0.3) the one that is left still answers reads, so that the leader's lease is seen to be over.
      expect(findings(), 'critical').toEqual(
        expect.arrayContaining([expect.stringMatching(/^(store-unreadable|leader-has-stepped-down)$/)]),
      );
      lab.startStore(1);
      lab.startStore(2);
      await isWritten(load);
      await lab.isWell();
      expect(await load.end()).toMatchObject({ lostRows: 0, twoWritableMs: 0 });
      await setFailsafe(true);
    },
  );
});
