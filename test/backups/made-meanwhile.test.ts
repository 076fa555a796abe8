import { expect, test } from 'vitest';
import { madeMeanwhile } from '../../src/backups/base/made-meanwhile.ts';
import { record } from './record.fixture.ts';

const { systemIdentifier, timeline } = record;
const [before, underWay, later] = ['data_20261120_195400', 'data_20261120_195401', 'data_20261120_195402'].map((label) => ({
  ...record,
  label,
}));
const asked = { cluster: { systemIdentifier, timeline }, newest: before!.label, options: {} };

test('the second backup that appears while one waits began after it was asked for: it is the one', () => {
  expect(madeMeanwhile([before!, underWay!, later!], asked)).toBe(later);
});

test('the first that appears may have been under way, and one that was there is of the past, whatever the clocks of both said', () => {
  const ahead = { copyBeganNs: String(BigInt(record.copyBeganNs) * 2n) };
  expect(
    madeMeanwhile(
      [
        { ...before!, ...ahead },
        { ...underWay!, ...ahead },
      ],
      asked,
    ),
  ).toBeUndefined();
});

test.each<[what: string, taken: Partial<typeof record>, options: Parameters<typeof madeMeanwhile>[1]['options']]>([
  ['a note is wanted', {}, { note: 'before the upgrade' }],
  ['it is to be pinned', {}, { pin: true }],
  ['everything is to be copied, and that one shares files', { previous: 'data_20261120_195300' }, { full: true }],
  ['that one is damaged', { state: 'damaged' }, {}],
  [
    'that one is of data with known damage',
    { knownDamage: [{ code: 'page.lost', path: 'base/5/1', evidence: '', severity: 'certain', since: '' }] },
    {},
  ],
  ['that one is of another cluster', { systemIdentifier: '1' }, {}],
  ['that one is of another timeline', { timeline: 7 }, {}],
  ['that one is of a standby, which may lag behind', { fromStandby: true }, {}],
])('one of its own is taken where %s', (_, taken, options) => {
  expect(madeMeanwhile([before!, underWay!, { ...later!, ...taken }], { ...asked, options })).toBeUndefined();
});

test('one that shares nothing serves whoever asked for that too', () => {
  expect(madeMeanwhile([before!, underWay!, later!], { ...asked, options: { full: true } })).toBe(later);
});
