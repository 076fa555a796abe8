import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { drillNamed, drills } from '../../src/cluster/drill/drills.ts';
import { keepTrial, lastTrials, reportTrials, type Trial } from '../../src/cluster/drill/evidence.ts';
import { faults } from '../../src/cluster/drill/faults.ts';
import { type Measured, type MissId, missesOf, missRows } from '../../src/cluster/drill/misses.ts';
import { longestGapMs, overlapMs } from '../../src/cluster/drill/overlap.ts';
import { runDrill } from '../../src/cluster/drill/run-drill.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLocks } from '../../src/machine/locks.ts';

const { targets } = drillNamed('switchover-under-load')!;
const good: Measured = { rtoSeconds: { pooler: 2.1 }, ackedRows: 400, lostRows: 0, errors: 0, twoWritableSeconds: 0, redundantSeconds: 9 };
const missed: Record<MissId, Partial<Measured>> = {
  'drill-lost-rows': { lostRows: 1 },
  'drill-two-writable': { twoWritableSeconds: 0.1 },
  'drill-slow': { rtoSeconds: { write: 1, pooler: 10.1 } },
  'drill-errors': { errors: 1 },
  'drill-not-redundant': { redundantSeconds: null },
};

test.each(missRows.map(({ id }) => id))('a target that is missed: %s', (id) => {
  expect(missesOf(good, targets)).toEqual([]);
  expect(missesOf({ ...good, ...missed[id] }, targets).map((one) => one.id)).toEqual([id]);
});

test('two servers took writes at the same time where their answers prove it, and only for so long', () => {
  const [n1, n2] = [[{ fromMs: 0, toMs: 1_000 }], [{ fromMs: 1_000, toMs: 5_000 }]];
  expect(overlapMs([n1, n2])).toBe(0);
  expect(overlapMs([n1, [{ fromMs: 600, toMs: 5_000 }], [{ fromMs: 900, toMs: 950 }]])).toBe(400);
  expect(overlapMs([[], n2])).toBe(0);
});

test('the longest time without a commit counts from the disaster to the end, whoever acknowledged before', () => {
  expect(longestGapMs([10, 90, 700, 750], 100, 1_000)).toBe(600);
  expect(longestGapMs([10, 90], 100, 1_000)).toBe(900);
  expect(longestGapMs([150, 990, 2_000], 100, 1_000)).toBe(840);
});

test('every drill has its disaster, and a name that is none is refused before anything is started', async () => {
  expect(Object.keys(faults).sort()).toEqual(drills.map(({ id }) => id as string).sort());
  const nothing = {} as Parameters<typeof runDrill>[0];
  const wish = { trials: 1, members: 3, port: 1, program: [] };
  const run = (name: string) => runDrill(nothing, { ...wish, name }, new AbortController().signal);
  await expect(run('flood')).rejects.toMatchObject({ code: 'usage.invalid', hint: expect.stringContaining('leader-node') });
});

test('a second drill waits for nobody and removes nothing: the first one holds the lock', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'dbkit-drill-'));
  const locks = createLocks({ PATH: process.env['PATH']! });
  const first = await locks.acquire(join(stateDir, 'ha-drill.lock'), 'dbkit ha drill freeze');
  try {
    mkdirSync(join(stateDir, 'ha-drill/ha-local'), { recursive: true });
    const files = createFiles({ warn: () => undefined } as unknown as Parameters<typeof createFiles>[0]);
    const owner = { uid: process.getuid!(), gid: process.getgid!(), name: 'me', home: '/' };
    const needs = { config: { stateDir }, files, locks, instance: { owner: async () => owner } } as unknown as Parameters<
      typeof runDrill
    >[0];
    const drill = runDrill(needs, { name: 'freeze', trials: 1, members: 3, port: 1, program: [] }, new AbortController().signal);
    await expect(drill).rejects.toMatchObject({ code: 'lock.held', message: expect.stringContaining('dbkit ha drill freeze') });
    expect(existsSync(join(stateDir, 'ha-drill/ha-local'))).toBe(true);
  } finally {
    await first.release();
    rmSync(stateDir, { recursive: true, force: true });
  }
});

const trial = (at: string, passed: boolean, over: Partial<Trial> = {}): Trial => ({
  ...{ schema: 'dbkit.ha-trial/v1', drill: 'freeze', at, passed, patroniVersion: '3.0.2', ttlSeconds: 20, synchronous: true },
  ...{ guarded: true, here: false, ...good, rtoSeconds: { pooler: 2.1 } },
  ...{ leaderBefore: 'n1', leaderAfter: 'n2', targets, misses: missesOf(good, targets).map((one) => ({ ...one })) },
  ...over,
});

test('the last trials: one of the real cluster takes no place of another’s, and Patroni’s alone count nowhere', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'dbkit-trials-'));
  try {
    const files = createFiles({ warn: () => undefined } as unknown as Parameters<typeof createFiles>[0]);
    const of = (day: number, over: Partial<Trial>) =>
      keepTrial({ stateDir }, { files }, trial(`2026-11-0${day}T10:00:00.000Z`, true, over));
    await of(1, {});
    await of(2, {});
    await of(3, { here: true });
    await of(4, { here: true, guarded: null });
    await of(5, { guarded: false });
    const last = await lastTrials({ config: { stateDir }, files });
    expect(last.map(({ at, here, guarded }) => [at.slice(8, 10), here, guarded])).toEqual([
      ['04', true, null],
      ['02', false, true],
    ]);
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});

test('trials are kept, and told newest first; one that cannot be read hides no other', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'dbkit-trials-'));
  try {
    const files = createFiles({ warn: () => undefined } as unknown as Parameters<typeof createFiles>[0]);
    for (const [at, passed] of [
      ['2026-11-01T10:00:00.000Z', true],
      ['2026-11-03T10:00:00.000Z', false],
    ] as const)
      await keepTrial({ stateDir }, { files }, trial(at, passed));
    const path = await keepTrial({ stateDir }, { files }, trial('2026-11-02T10:00:00.000Z', true));
    const needs = { config: { stateDir }, files };
    expect(await reportTrials(needs, { since: undefined })).toMatchObject({ passed: 2, failed: 1 });
    writeFileSync(path, 'no JSON');
    const { trials } = await reportTrials(needs, { since: undefined });
    expect(trials.map(({ at }) => at.slice(0, 10))).toEqual(['2026-11-03', '2026-11-01']);
    expect((await reportTrials(needs, { since: new Date('2026-11-02T00:00:00Z') })).trials).toHaveLength(1);
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
});
