import { expect, test } from 'vitest';
import { madeMeanwhile } from '../../src/backups/base/made-meanwhile.ts';
import { record } from './record.fixture.ts';

const { systemIdentifier } = record;
const at = (ns: bigint, more: Partial<typeof record> = {}) => ({ ...record, copyBeganNs: String(ns), ...more });
const asked = { systemIdentifier, askedNs: 1000n, options: {} };

test('a backup that began after this one was asked for is this one', () => {
  const [earlier, later] = [at(1000n, { label: 'data_20261120_195401' }), at(1001n, { label: 'data_20261120_195402' })];
  expect(madeMeanwhile([earlier, later], asked)).toBe(later);
  expect(madeMeanwhile([earlier], asked)).toBeUndefined();
});

test.each<[what: string, taken: typeof record, options: Parameters<typeof madeMeanwhile>[1]['options']]>([
  ['a note is wanted', at(2000n), { note: 'before the upgrade' }],
  ['it is to be pinned', at(2000n), { pin: true }],
  ['everything is to be copied, and that one shares files', at(2000n, { previous: 'data_20261120_195300' }), { full: true }],
  ['that one is damaged', at(2000n, { state: 'damaged' }), {}],
  [
    'that one is of data with known damage',
    at(2000n, { knownDamage: [{ code: 'page.lost', path: 'base/5/1', evidence: '', severity: 'certain', since: '' }] }),
    {},
  ],
  ['that one is of another cluster', at(2000n, { systemIdentifier: '1' }), {}],
])('one of its own is taken where %s', (_, taken, options) => {
  expect(madeMeanwhile([taken], { ...asked, options })).toBeUndefined();
});

test('one that shares nothing serves whoever asked for that too', () => {
  expect(madeMeanwhile([at(2000n)], { ...asked, options: { full: true } })).toBeDefined();
});
