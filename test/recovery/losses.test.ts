import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { joinReports } from '../../src/recovery/describe.ts';
import { recoveryReport } from '../../src/recovery/history.ts';
import { howMuch, type Loss, nothing, told } from '../../src/recovery/losses.ts';
import type { RecoveryReport } from '../../src/recovery/report.ts';

const damaged = { path: 'base/5/1', evidence: 'the file is gone', relation: null, oldBytes: null } as const;
const slot: Loss = { kind: 'slot', path: 'pg_replslot/copy', oldBytes: null };
const examples: { readonly [Kind in Loss['kind']]: readonly [Extract<Loss, { kind: Kind }>, RegExp] } = {
  nothing: [{ kind: 'nothing' }, /^nothing$/],
  window: [
    { kind: 'window', after: '2026-11-28T01:00:00Z', afterLsn: '0/3000000', upTo: null, upToLsn: '0/4000000', oldBytes: '/q' },
    /^what was committed after 2026-11-28T01:00:00Z, LSN 0\/3000000 up to LSN 0\/4000000; the replaced data is whole in \/q$/,
  ],
  'since-backup': [
    { kind: 'since-backup', label: 'data_20261128_010000', at: '2026-11-28T01:00:00Z', oldBytes: null },
    /^what was committed after 2026-11-28T01:00:00Z \(the backup data_20261128_010000\)$/,
  ],
  cluster: [{ kind: 'cluster', oldBytes: '/q' }, /all rows .*: the old data is whole in \/q$/],
  database: [{ kind: 'database', database: null, ...damaged }, /^damaged and not mended: base\/5\/1 \(the file is gone\)$/],
  table: [{ kind: 'table', rows: null, ...damaged }, /^damaged and not mended: base\/5\/1/],
  pages: [{ kind: 'pages', blocks: [7], rows: 60, ...damaged }, /^damaged and not mended: base\/5\/1/],
  file: [{ kind: 'file', code: 'slru.damaged', ...damaged }, /^damaged and not mended: base\/5\/1/],
  slot: [slot, /^replication slot pg_replslot\/copy$/],
  origins: [
    { kind: 'origins', path: 'pg_logical/replorigin_checkpoint', oldBytes: null },
    /^no rows, but the progress of the replication origins/,
  ],
  settings: [{ kind: 'settings', reverted: ['work_mem'], oldBytes: null }, /settings .*work_mem$/],
  objects: [
    { kind: 'objects', objects: ['app: view a.b'], oldBytes: '/q' },
    /^no rows, .*: app: view a\.b; the old cluster is whole in \/q$/,
  ],
  unlogged: [{ kind: 'unlogged', tables: [{ database: 'app', name: 'cache' }], oldBytes: null }, /unlogged tables: cache in database app$/],
  unknown: [{ kind: 'unknown', reason: 'unproven', oldBytes: null }, /^not known: /],
  recorded: [{ kind: 'recorded', words: 'the last hour' }, /^the last hour$/],
};

test.each(Object.entries(examples))('a loss in words: %s', (kind, [loss, words]) => {
  expect(told([loss])).toMatchObject({ losses: [loss], lost: expect.stringMatching(words) });
  expect(howMuch([loss])).toBe(kind === 'nothing' ? 'nothing' : kind === 'unknown' ? 'unknown' : 'something');
});

test('damage is told together and not as a wall, each thing once', () => {
  const many = Array.from({ length: 8 }, (_, page): Loss => ({ kind: 'file', code: 'page.damaged', ...damaged, path: `base/5/${page}` }));
  const { lost, losses } = told([...many, slot, slot, ...nothing]);
  expect(lost).toMatch(/^damaged and not mended: base\/5\/0 .* and 3 more; replication slot pg_replslot\/copy$/);
  expect(losses).toEqual([...many, slot]);
  const named: Loss = { kind: 'table', rows: null, ...damaged, relation: { database: 'app', name: 'ledger' } };
  expect(told([{ kind: 'file', code: 'relation.missing', ...damaged }, named]).losses).toEqual([named]);
  const kept = { ...named, oldBytes: '/q/corrupt_20261128_010000' };
  expect(told([kept, named]).losses, 'where the old bytes are is not forgotten').toEqual([kept]);
  expect(told([])).toEqual({ losses: nothing, lost: 'nothing' });
  expect(howMuch([{ kind: 'unknown', reason: 'no-mark', oldBytes: null }, slot])).toBe('something');
});

const report: RecoveryReport = {
  at: '2026-11-28T01:00:00.000Z',
  findings: [],
  decision: 'start',
  reason: 'sound',
  because: 'sound',
  steps: [],
  quarantine: null,
  ...told(nothing),
  durationMs: 1,
};

test('one boot tells the losses of all its rounds', () => {
  expect(joinReports({ ...report, ...told([slot]) }, report)).toMatchObject({ losses: [slot], lost: 'replication slot pg_replslot/copy' });
  expect(joinReports(report, report)).toMatchObject({ losses: nothing, lost: 'nothing' });
});

test('a report of an earlier version, which knew words only, still reads', () => {
  const { losses: _, ...earlier } = report;
  expect(v.parse(recoveryReport, earlier).losses).toEqual(nothing);
  expect(v.parse(recoveryReport, { ...earlier, lost: 'the last hour' }).losses).toEqual([{ kind: 'recorded', words: 'the last hour' }]);
  expect(v.parse(recoveryReport, { ...report, ...told([slot]) }).losses).toEqual([slot]);
  expect(v.parse(recoveryReport, { ...report, losses: [{ kind: 'of a later version' }] }).losses).toEqual([{ kind: 'of a later version' }]);
});

describe('the windows of one end of recovery', () => {
  const window = (afterLsn: string, upTo: string | null, upToLsn: string | null): Loss => ({
    kind: 'window',
    after: null,
    afterLsn,
    upTo,
    upToLsn,
    oldBytes: null,
  });

  test('are one, from the earlier place to the later', () => {
    expect(told([window('0/9000000', '2026-11-30T10:00:00Z', '0/B000000'), window('0/8000028', null, '0/10000000')]).losses).toEqual([
      window('0/8000028', '2026-11-30T10:00:00Z', '0/10000000'),
    ]);
  });

  test('have no known end where one of them has none', () => {
    expect(told([window('0/9000000', null, null), window('0/8000000', '2026-11-30T10:00:00Z', '0/B000000')]).losses).toEqual([
      window('0/8000000', null, null),
    ]);
  });
});
