import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { drills } from '../../src/cluster/drill/drills.ts';
import { hereFaults } from '../../src/cluster/drill/here-faults.ts';
import { type HereFacts, type HereRefusalId, hereRefusals, type LeaderHere } from '../../src/cluster/drill/here-rows.ts';
import { drillHere } from '../../src/cluster/drill/run-here.ts';
import type { ProcessMark } from '../../src/cluster/processes.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLocks } from '../../src/machine/locks.ts';
import { clusterFacts, memberFacts, settingsFacts } from './a-cluster.ts';
import { type FakeAnswer, type FakeCluster, fakeCluster, recorded } from './fake-cluster.ts';

const never = new AbortController().signal;
const mark = (pid: number): ProcessMark => ({ pid, startedTicks: '1' });
const leaderHere: LeaderHere = { server: mark(300), patroni: mark(200), guard: mark(100), maySignal: true };
const facts = (over: Partial<HereFacts> = {}): HereFacts => ({
  drill: 'freeze',
  cluster: clusterFacts(),
  finding: undefined,
  addresses: ['write', 'pooler'],
  schema: 'none',
  isPublished: false,
  leaderHere,
  acceptLoss: false,
  ...over,
});
const asynchronous = clusterFacts([], { settings: settingsFacts({ isSynchronous: false }) });
const finding = { id: 'replica-behind', severity: 'warning', member: 'n3', words: 'it is behind', next: 'x' } as const;

const refused: Readonly<Record<HereRefusalId, HereFacts>> = {
  'drill-here-ends-dbkit': facts({ drill: 'cold-start' }),
  'drill-here-stops-etcd': facts({ drill: 'etcd-down' }),
  'drill-here-cuts-network': facts({ drill: 'partition' }),
  'drill-here-paused': facts({ cluster: clusterFacts([], { isPaused: true }) }),
  'drill-here-unwell': facts({ finding }),
  'drill-here-planned': facts({ cluster: clusterFacts([], { scheduledSwitchover: { at: '2036-01-01T03:00:00Z', to: null } }) }),
  'drill-here-no-pooler': facts({ drill: 'switchover-under-load', addresses: ['write'] }),
  'drill-here-no-address': facts({ addresses: ['pooler'] }),
  'drill-here-asynchronous': facts({ cluster: asynchronous }),
  'drill-here-beside-another': facts({ schema: 'busy' }),
  'drill-here-schema-taken': facts({ schema: 'foreign' }),
  'drill-here-published': facts({ isPublished: true }),
  'drill-here-elsewhere': facts({ drill: 'postmaster', leaderHere: null }),
  'drill-here-may-not-signal': facts({ drill: 'postmaster', leaderHere: { ...leaderHere, maySignal: false } }),
  'drill-here-unguarded': facts({ leaderHere: { ...leaderHere, guard: null } }),
  'drill-here-first-process': facts({ leaderHere: { ...leaderHere, guard: mark(1) } }),
};
const refusal = (asked: HereFacts): string | undefined => hereRefusals.find(({ when }) => when(asked))?.id;

test.each(Object.entries(refused))('a drill on the real cluster: %s', (id, asked) => {
  expect(refusal(asked)).toBe(id);
});

test('every drill is refused by its name, or can be done and undone', () => {
  for (const { id } of drills)
    expect({ id, isRefused: refusal(facts({ drill: id })) !== undefined }).toEqual({ id, isRefused: !(id in hereFaults) });
});

test('a switchover harms no process, so it may be asked for anywhere; a server that is killed needs no guard', () => {
  expect(refusal(facts({ drill: 'switchover-under-load', leaderHere: null }))).toBeUndefined();
  const alone = { ...leaderHere, patroni: null, guard: null };
  expect(refusal(facts({ drill: 'postmaster', leaderHere: alone }))).toBeUndefined();
  for (const drill of ['patroni-killed', 'patroni-hung', 'freeze'] as const)
    expect(refusal(facts({ drill, leaderHere: alone }))).toBe('drill-here-unguarded');
  expect(refusal(facts({ leaderHere: { ...leaderHere, patroni: null } }))).toBe('drill-here-unguarded');
  expect(refusal(facts({ drill: 'patroni-killed', leaderHere: { ...leaderHere, guard: mark(1) } }))).toBeUndefined();
});

test('rows may be given up by a person, and nothing else', () => {
  expect(refusal(facts({ cluster: asynchronous, acceptLoss: true }))).toBeUndefined();
  const nobody = clusterFacts([memberFacts('n2')]);
  expect(refusal(facts({ cluster: nobody }))).toBe('drill-here-asynchronous');
  for (const [id, asked] of Object.entries(refused))
    if (id !== 'drill-here-asynchronous') expect(refusal({ ...asked, acceptLoss: true })).toBe(id);
});

let cluster: FakeCluster | undefined;
let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'dbkit-here-'));
});
afterEach(async () => {
  await cluster?.close();
  rmSync(stateDir, { recursive: true, force: true });
});

type Needs = Parameters<typeof drillHere>[0];
const owner = { uid: process.getuid!(), gid: process.getgid!(), name: 'me', home: '/' };

async function onFake(answer?: (member: string, request: string) => FakeAnswer | null | undefined): Promise<Needs> {
  cluster = await fakeCluster('4.0.7', answer, { writeAddress: '127.0.0.1:1', pooler: '127.0.0.1:1' });
  const files = createFiles({ warn: () => undefined } as unknown as Parameters<typeof createFiles>[0]);
  const locks = createLocks({ PATH: process.env['PATH']! });
  const config = { ...cluster.needs.config, stateDir } as Needs['config'];
  const spawn = (): never => expect.unreachable('nothing is started');
  return { ...cluster.needs, config, files, locks, spawn, instance: { owner: async () => owner } };
}

const asked: string[] = [];
const ask = (needs: Needs, name: string): Promise<unknown> =>
  drillHere(needs, { name, acceptLoss: true }, async ({ drill }) => asked.push(drill) > 0, never);

test('what is refused changes nothing, asks nobody, and says where it can be rehearsed', async () => {
  const needs = await onFake();
  await expect(ask(needs, 'leader-node')).rejects.toMatchObject({
    code: 'recovery.refused',
    changed: false,
    message: expect.stringContaining('leader-node ends the dbkit of a member'),
    hint: expect.stringContaining('`dbkit ha drill leader-node`'),
  });
  await expect(ask(needs, 'switchover-under-load')).rejects.toMatchObject({
    message: expect.stringMatching(/^the cluster is not well: .+ \([a-z-]+\) \(drill-here-unwell\)$/), // Its servers do not answer.
  });
  await expect(ask(needs, 'flood')).rejects.toMatchObject({ code: 'usage.invalid' });
  expect({ asked, changes: cluster!.asked, kept: readdirSync(stateDir) }).toEqual({ asked: [], changes: [], kept: ['ha-drill.lock'] });
});

test('a cluster that is paused is left alone', async () => {
  const needs = await onFake((_member, request) =>
    request === 'GET /cluster' ? { status: 200, body: { ...(recorded('4.0.7', 'cluster') as object), pause: true } } : undefined,
  );
  await expect(ask(needs, 'patroni-killed')).rejects.toMatchObject({ hint: expect.stringContaining('`dbkit ha resume`') });
  expect(cluster!.asked).toEqual([]);
});

test('beside a drill of this machine, on a cluster of its own or here, there is no other', async () => {
  const needs = await onFake();
  const first = await needs.locks.acquire(join(stateDir, 'ha-drill.lock'), 'dbkit ha drill freeze');
  try {
    await expect(ask(needs, 'switchover-under-load')).rejects.toMatchObject({ code: 'lock.held' });
  } finally {
    await first.release();
  }
});
