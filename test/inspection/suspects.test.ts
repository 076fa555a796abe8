import { expect, test } from 'vitest';
import type { Finding } from '../../src/inspection/findings.ts';
import type { Inspection } from '../../src/inspection/inspect.ts';
import type { KnownDamage } from '../../src/inspection/known-damage.ts';
import { suspectsOf, toSuspectDamage } from '../../src/inspection/suspects.ts';

const BLOCK = 8192;
const control = { systemIdentifier: '7', blockSizeBytes: BLOCK, blocksPerSegment: 131_072 } as Inspection['control'];
const before = (sizes: Readonly<Record<string, number>>, findings: readonly Finding[] = []) => ({
  control,
  sizeOf: (path: string) => sizes[path],
  report: { findings } as Inspection['report'],
});
const suspect = (code: Finding['code'], path: string): Finding => ({ code, path, evidence: '', severity: 'suspect' });
const last = { systemIdentifier: '7', checkpointLsn: '0/100', files: [['base/5/1', 10 * BLOCK, 0] as [string, number, number]] };

test('a file that holds less than at the last clean stop, from where it ends', () => {
  expect([...suspectsOf(before({ 'base/5/1': 4 * BLOCK }), last, [])]).toEqual([
    ['base/5/1', { fromBlock: 4, toBlock: 10, since: 0x100n }],
  ]);
});
test('a first segment that is short although a second one follows', () => {
  const sizes = { 'base/5/2': 4 * BLOCK, 'base/5/2.1': 8 * BLOCK };
  const seen = before(sizes, [suspect('relation.truncated', 'base/5/2')]);
  expect(suspectsOf(seen, undefined, []).get('base/5/2')).toEqual({ fromBlock: 4, toBlock: 131_072 });
});
test('what an earlier start did not come to settle', () => {
  const cut = { fromBlock: 1, toBlock: 2, since: '0/200' };
  const known: KnownDamage = { code: 'relation.truncated', path: 'base/5/3', evidence: '', severity: 'suspect', since: '', cut };
  expect(suspectsOf(before({}), undefined, [known]).get('base/5/3')).toEqual({ fromBlock: 1, toBlock: 2, since: 0x200n });
});
test('nothing where all is as it was, of another cluster, or a map that is made again', () => {
  expect(suspectsOf(before({ 'base/5/1': 10 * BLOCK }), last, []).size).toBe(0);
  expect(suspectsOf(before({}), { ...last, systemIdentifier: '8' }, []).size).toBe(0);
  expect(suspectsOf(before({}), { ...last, files: [['base/5/1_vm', BLOCK, 0]] }, []).size).toBe(0);
});
test('an index that was written to while no server ran: zeroes in it are that writer’s; after a crash they may be the server’s own', () => {
  const written: Finding = { ...suspect('index.damaged', 'base/5/4'), severity: 'certain' };
  expect(suspectsOf(before({}, [written]), undefined, []).get('base/5/4')?.hasForeignZeroes).toBe(true);
  expect(suspectsOf(before({}, [suspect('page.damaged', 'base/5/4')]), undefined, []).get('base/5/4')?.hasForeignZeroes).toBeUndefined();
});
test('such an index is one still when the start that was to rebuild it was cut off', () => {
  const entry = toSuspectDamage('base/5/4', { fromBlock: 0, toBlock: 0, hasForeignZeroes: true }, '2026-11-29T00:00:00Z');
  expect(suspectsOf(before({}), undefined, [entry]).get('base/5/4')?.hasForeignZeroes).toBe(true);
  const cut: KnownDamage = { ...entry, code: 'relation.truncated', cut: { fromBlock: 1, toBlock: 2 } };
  const written: Finding = { ...suspect('index.damaged', 'base/5/4'), severity: 'certain' };
  expect(suspectsOf(before({}, [written]), undefined, [cut]).get('base/5/4')).toMatchObject({
    fromBlock: 1,
    toBlock: 2,
    hasForeignZeroes: true,
  });
});
