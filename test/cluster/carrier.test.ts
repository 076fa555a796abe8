import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Backups } from '../../src/backups/backup.ts';
import { noCarrier, type Turn } from '../../src/backups/carrier.ts';
import { takeBackup } from '../../src/backups/take-backup.ts';
import { createdView } from '../../src/cli/backup-views.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { createCarrier, turnFor } from '../../src/cluster/backup-carrier.ts';
import { type CarrierFacts, carrierFacts, type carrierRows, decideCarrier } from '../../src/cluster/carrier-rows.ts';
import type { MemberFacts } from '../../src/cluster/facts.ts';
import { everyRow } from '../harness/every-row.ts';
import { clusterFacts, memberFacts, ownFacts } from './a-cluster.ts';
import { type FakeCluster, fakeCluster } from './fake-cluster.ts';

const plainStyle = await createStyle(false);
const never = new AbortController().signal;
const well: CarrierFacts = { from: 'prefer-replica', own: 'n1', replica: 'n3', leader: 'n1' };

everyRow<(typeof carrierRows)[number]['id'], CarrierFacts>('who takes a base backup', decideCarrier, {
  'carrier-no-member': { ...well, own: null },
  'carrier-every': { ...well, from: 'every' },
  'carrier-replica': well,
  'carrier-leader': { ...well, from: 'leader' },
  'carrier-no-replica': { ...well, replica: null },
  'carrier-unknown': { ...well, replica: null, leader: null },
});

const MB = 1024 * 1024;
const ha = { backupFrom: 'prefer-replica', maxReplicationLag: '1MB' } as const;
const silent = { own: null, patroni: null, trouble: { kind: 'silent', words: 'connect ETIMEDOUT' }, isWritable: null } as const;

/** The names of those who take it, as each member decides for itself. */
const takenBy = (
  members: readonly MemberFacts[] = [],
  over: Parameters<typeof clusterFacts>[1] = {},
  from: CarrierFacts['from'] = 'prefer-replica',
) => ['n1', 'n2', 'n3'].filter((own) => turnFor(carrierFacts(clusterFacts(members, over), own, { ...ha, backupFrom: from })).isHere);

describe('exactly one member takes it', () => {
  const at = 67_418_024;
  test.each<[string, readonly MemberFacts[], CarrierFacts['from'], string]>([
    ['a replica that no commit waits for', [], 'prefer-replica', 'n3'],
    ['the leader, where that is wished', [], 'leader', 'n1'],
    ['the synchronous one, where the other does not answer', [memberFacts('n3', silent)], 'prefer-replica', 'n2'],
    ['another, where one does not stream', [memberFacts('n3', { own: ownFacts({ isStreaming: false }) })], 'prefer-replica', 'n2'],
    ['another, where one is far behind', [memberFacts('n3', { lagBytes: 65 * MB })], 'prefer-replica', 'n2'],
    [
      'another, where one has received all and replays nothing',
      [memberFacts('n3', { own: ownFacts({ walAt: at, replayedAt: at - 65 * MB }) })],
      'prefer-replica',
      'n2',
    ],
    [
      'another, where one would begin before the last change of leader',
      [memberFacts('n3', { own: ownFacts({ checkpointTimeline: 3 }) })],
      'prefer-replica',
      'n2',
    ],
    [
      'the leader, where both replicas are far behind',
      [memberFacts('n2', { lagBytes: 65 * MB, role: 'synchronous' }), memberFacts('n3', { lagBytes: 65 * MB })],
      'prefer-replica',
      'n1',
    ],
    [
      'a replica of which only Patroni tells, as no server lets dbkit in',
      ['n1', 'n2', 'n3'].map((name) =>
        memberFacts(name, {
          role: name === 'n1' ? 'leader' : 'replica',
          own: null,
          trouble: { kind: 'refused', words: 'password authentication failed' },
          isWritable: name === 'n1',
          lagBytes: name === 'n2' ? 0 : null,
        }),
      ),
      'prefer-replica',
      'n2',
    ],
  ])('%s', (_what, members, from, carrier) => expect(takenBy(members, {}, from)).toEqual([carrier]));

  test('the new leader and the new replicas, after a switchover', () => {
    const moved = [memberFacts('n1'), memberFacts('n2', { role: 'leader' }), memberFacts('n3', { role: 'synchronous' })];
    expect(takenBy(moved, { leader: 'n2' })).toEqual(['n1']);
    expect(takenBy(moved, { leader: 'n2' }, 'leader')).toEqual(['n2']);
  });
});

describe('rather two than none', () => {
  test('a member that is a little behind takes it, and so does the one that finds it too far behind', () => {
    expect(takenBy([memberFacts('n3', { lagBytes: 20 * MB })])).toEqual(['n2', 'n3']);
  });
  test.each<[string, readonly MemberFacts[], Parameters<typeof clusterFacts>[1]]>([
    [
      'nobody leads',
      [memberFacts('n2', { own: ownFacts({ isStreaming: false }) }), memberFacts('n3', { own: ownFacts({ isStreaming: false }) })],
      { leader: null },
    ],
    ['nobody answers', ['n1', 'n2', 'n3'].map((name) => memberFacts(name, silent)), {}],
    [
      'the leader answers, and takes no writes',
      [
        memberFacts('n1', { role: 'leader', isWritable: false, own: ownFacts({ isStreaming: false }) }),
        ...['n2', 'n3'].map((name) => memberFacts(name, { own: ownFacts({ isStreaming: false }) })),
      ],
      { isAgreed: false },
    ],
  ])('every member, where %s', (_what, members, over) => expect(takenBy(members, over)).toEqual(['n1', 'n2', 'n3']));
});

describe('a machine that asks', () => {
  let folder = '';
  let cluster: FakeCluster | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dbkit-carrier-'));
  });
  afterEach(async () => {
    await cluster?.close();
    cluster = undefined;
    rmSync(folder, { recursive: true, force: true });
  });
  const turn = (needs: FakeCluster['needs'], over: object): Promise<Turn | null> =>
    createCarrier({ ...needs, config: { ...needs.config, disabledServices: [], services: {}, ...over }, environment: {} }).turn(never);

  test('no server lets dbkit in, and etcd is gone: it takes the backup, and says why', async () => {
    cluster = await fakeCluster('4.0.7', (_member, request) => (request === 'GET /cluster' ? { status: 503, body: '' } : undefined));
    const config = join(folder, 'patroni.yml');
    writeFileSync(config, 'name: n2\nscope: shop\nrestapi: { listen: "127.0.0.1:8008" }\npostgresql: { data_dir: /data }\n');
    const services = { patroni: { config, command: ['patroni'], guard: true } };
    expect(await turn(cluster.needs, { services })).toEqual({
      member: 'n2',
      isHere: true,
      reason: 'carrier-unknown',
      because: 'nobody is known to lead and to answer, and a backup too many is better than none',
    });
  });

  test('a machine that is none of the members takes its own', async () => {
    cluster = await fakeCluster('4.0.7');
    const socketDir = folder; // Nobody listens there.
    const given = { postgresql: { ...cluster.needs.config.postgresql, socketDir } };
    expect(await turn(cluster.needs, given)).toMatchObject({ member: null, isHere: true, reason: 'carrier-no-member' });
  });

  test('a password that cannot be read keeps no backup from being taken', async () => {
    cluster = await fakeCluster('4.0.7', () => undefined, { apiUsername: 'patroni', apiPassword: { file: '/absent' } });
    const reveal = async (): Promise<string> => Promise.reject(new Error('ENOENT: /absent'));
    expect(await turn({ ...cluster.needs, alerts: { reveal } }, {})).toMatchObject({ isHere: true, reason: 'carrier-unknown' });
  });
});

describe('the command', () => {
  const elsewhere: Turn = { member: 'n3', isHere: false, reason: 'carrier-replica', because: 'n3 follows closely' };
  const backup = { label: 'data_20261128_120000', state: 'good', sizeBytes: 8192, newBytes: 8192 };
  const app = (turn: Turn | null) => {
    const calls: string[] = [];
    const taken = async () => {
      calls.push('take');
      return backup;
    };
    const base = { name: 'copy', kind: 'physical', take: taken, repository: { list: async () => [] } };
    const parts = {
      backups: [base] as unknown as readonly Backups[],
      carrier: turn === null ? noCarrier : { turn: async () => turn },
      copies: { clearLeft: async () => undefined },
      config: { copies: {} },
      log: { warn: () => undefined },
      expireQuarantined: async () => [],
      history: { list: async () => [] },
    } as unknown as Parameters<typeof takeBackup>[0];
    return { calls, take: (ifCarrier: boolean) => takeBackup(parts, { ifChanged: false, ifCarrier }, never) };
  };

  test('of a timer leaves it to the member whose turn it is, and names it', async () => {
    const { calls, take } = app(elsewhere);
    const report = await take(true);
    expect(report).toEqual({ backup: null, because: 'n3 follows closely', carrier: elsewhere });
    expect(calls).toEqual([]);
    expect(createdView(report, plainStyle)).toBe('no backup here, it is the turn of n3: n3 follows closely');
  });
  test('of a person takes it here, and says where the schedule would', async () => {
    const { calls, take } = app(elsewhere);
    const report = await take(false);
    expect(calls).toEqual(['take']);
    expect(createdView(report, plainStyle)).toContain('\nthe schedule leaves base backups to n3: n3 follows closely');
  });
  test.each([true, false])('where there is no cluster takes it (--if-carrier: %s)', async (ifCarrier) => {
    const { calls, take } = app(null);
    expect(await take(ifCarrier)).not.toHaveProperty('carrier');
    expect(calls).toEqual(['take']);
  });
});
