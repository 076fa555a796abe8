import { expect, test } from 'vitest';
import { parseConninfo, passwordIn } from '../../src/cluster/copying/conninfo.ts';
import { type FitFacts, type FitReason, fitRows, judgeFit } from '../../src/cluster/copying/fit-rows.ts';
import { hasWalBetween } from '../../src/cluster/copying/wal-between.ts';
import { parseLsn, segmentName } from '../../src/formats/wal-segment.ts';

test('what Patroni says of the member to follow is read as libpq reads it, with the password from its file', () => {
  const said = 'dbname=postgres user=replicator host=10.0.0.1 port=5433 application_name=n\\ 2';
  const place = parseConninfo(said)!;
  expect(place).toEqual({ host: '10.0.0.1', port: 5433, user: 'replicator', database: 'postgres', sslMode: undefined });
  expect(parseConninfo("host='a b' user='it\\'s' sslmode=require")).toMatchObject({
    host: 'a b',
    user: "it's",
    port: 5432,
    sslMode: 'require',
  });
  expect(parseConninfo('')).toBeUndefined();
  const file = '#10.0.0.1:5433:*:replicator:no\n10.0.0.2:5433:*:replicator:other\n10.0.0.1:5433:*:replicator:a\\:b\\\\c\n';
  expect(passwordIn(file, place)).toBe('a:b\\c');
  expect(passwordIn('10.0.0.1:5433:*:postgres:x', place)).toBeUndefined();
});

const fits: FitFacts = { isDamaged: false, isOfThisCluster: true, isOfThisMajor: true, isOnTheWay: true, isWalThere: true };
const not: Record<FitReason, Partial<FitFacts>> = {
  'replica-other-cluster': { isOfThisCluster: false },
  'replica-damaged-backup': { isDamaged: true },
  'replica-other-major': { isOfThisMajor: false },
  'replica-off-the-timeline': { isOnTheWay: false },
  'replica-wal-gone': { isWalThere: false },
  'replica-fits': {},
};

test.each(fitRows.map(({ id }) => id))('a backup for a replica: %s', (id) => {
  expect(judgeFit({ ...fits, ...not[id] })).toMatchObject({ id, then: id === 'replica-fits' ? 'use' : 'refuse' });
});

test('WAL reaches from a backup to the leader along the timelines, each up to its fork', () => {
  const size = 16 * 1024 * 1024;
  const at = (segment: number): bigint => BigInt(segment * size);
  const way = { timeline: 2, history: [{ timeline: 1, switchLsn: parseLsn('0/3800000'), reason: '' }] }; // In segment 3.
  const names = (...all: readonly [timeline: number, segment: number][]): ReadonlySet<string> =>
    new Set(all.map(([timeline, segment]) => segmentName(timeline, BigInt(segment), size)));
  expect(hasWalBetween(way, names([1, 2], [2, 3], [2, 4]), [at(2), at(5) + 7n], size)).toBe(true);
  expect(hasWalBetween(way, names([1, 2], [1, 3], [2, 4]), [at(2), at(5)], size), 'the last segment of the ancestor will do').toBe(true);
  expect(hasWalBetween(way, names([1, 2], [1, 3], [1, 4]), [at(2), at(5)], size), 'behind the fork it is another’s').toBe(false);
  expect(hasWalBetween(way, names([1, 2], [2, 4]), [at(2), at(5)], size), 'a hole').toBe(false);
  expect(hasWalBetween(way, names(), [at(5), at(5) + 9n], size), 'the leader has it all').toBe(true);
});
