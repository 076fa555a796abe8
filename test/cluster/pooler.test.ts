import { expect, test } from 'vitest';
import { type PoolerView, poolerFinding, poolerFindings, viewOf } from '../../src/cluster/pooler-findings.ts';

const well: PoolerView = { address: 'db:6432', trouble: null, paused: false, waiting: 0, longestWaitSeconds: 0 };
const cases: Readonly<Record<(typeof poolerFindings)[number]['id'], PoolerView>> = {
  'pooler-silent': { ...well, trouble: 'connect ECONNREFUSED', paused: null },
  'pooler-paused': { ...well, paused: true },
  'pooler-clients-wait': { ...well, paused: null, waiting: 3, longestWaitSeconds: 17 },
};

test.each(Object.entries(cases))('%s', (id, view) => {
  const found = poolerFinding(view);
  expect(found).toMatchObject({ id });
  expect(`${found?.words} ${found?.next}`).not.toMatch(/\{\w+\}/);
  expect(poolerFindings.map((row) => row.id)).toContain(id);
});

test('a moment of waiting, as in a switchover, is no finding; nor is a pooler that nobody named', () => {
  expect(poolerFinding(well)).toBeNull();
  expect(poolerFinding({ ...well, paused: null, waiting: 8, longestWaitSeconds: 2 })).toBeNull();
  expect(poolerFinding(null)).toBeNull();
});

const databases = [
  { name: 'pgbouncer', paused: 0 },
  { name: 'shop', paused: 0 },
];
const pools = [
  { database: 'pgbouncer', cl_waiting: 0, maxwait: 0 },
  { database: 'shop', cl_waiting: 4, maxwait: 9 },
];
const state = (paused: 'yes' | 'no') => [
  { key: 'active', value: paused === 'yes' ? 'no' : 'yes' },
  { key: 'paused', value: paused },
  { key: 'suspended', value: 'no' },
];

test('1.19 and later say themselves that they are paused; before, only of a single database', () => {
  expect(viewOf('db:6432', { states: state('yes'), databases, pools })).toEqual({
    address: 'db:6432',
    trouble: null,
    paused: true,
    waiting: 4,
    longestWaitSeconds: 9,
  });
  expect(viewOf('db:6432', { states: state('no'), databases, pools: [] })).toMatchObject({
    paused: false,
    waiting: 0,
    longestWaitSeconds: 0,
  });
  expect(viewOf('db:6432', { states: undefined, databases, pools })).toMatchObject({ paused: null });
  const one = [...databases, { name: 'crm', paused: 1 }];
  expect(viewOf('db:6432', { states: undefined, databases: one, pools })).toMatchObject({ paused: true });
});
