import { expect, test } from 'vitest';
import type { Backup, BackupOptions, Backups, BaseBackups, Dumps } from '../../src/backups/backup.ts';
import { dueOf } from '../../src/backups/verify-backups.ts';
import type { Parts } from '../../src/cli/parts.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { inProcess } from '../harness/in-process.ts';

const now = new Date('2026-11-21T12:00:00Z');
const clock: Parts['clock'] = { now: () => now, monotonicMs: () => 0, sleep: async () => undefined };

const backupOf = (label: string, more: Partial<Backup> = {}): Backup => ({
  label,
  path: `/backups/${label}`,
  kind: 'physical',
  createdAt: '2026-11-21T10:00:00.000Z',
  state: 'good',
  pgVersion: 15,
  systemIdentifier: '1',
  sizeBytes: 4096,
  ...more,
});

/** Base backups that remember what they were asked. */
function baseOf(backups: readonly Backup[], more: Partial<BaseBackups> = {}): BaseBackups & { readonly asked: unknown[] } {
  const asked: unknown[] = [];
  return {
    asked,
    name: 'copy',
    kind: 'physical',
    repository: {
      list: async () => backups,
      describe: async () => ({}),
      annotate: async (backup, words) => {
        asked.push([backup.label, words]);
        return { ...backup, pinned: words.pinned ?? false };
      },
      expire: async () => [],
    },
    take: async (_signal, options: BackupOptions = {}) => {
      asked.push(options);
      return backupOf('data_20261121_120000', { note: options.note ?? null, pinned: options.pin ?? false });
    },
    walSegment: async () => undefined,
    baseline: async () => Promise.reject(new Error('nobody asks for it')),
    stage: async () => ({ reached: undefined, complete: false }),
    verify: async ({ label }, _signal, options) => {
      asked.push([label, options]);
      if (label.endsWith('9')) throw new DbkitError('data.corrupt', `backup ${label} is damaged: global/1260 is missing`);
    },
    prove: async () => undefined,
    descends: async () => true,
    changedSinceLast: async () => ({ changed: true, because: 'it was written to' }),
    sameFiles: async () => new Map(),
    rollsForward: async () => false,
    findPoint: async () => {
      throw new DbkitError('recovery.refused', 'no good base backup leads to that timeline');
    },
    serving: async () => ({ plan: null, refused: 'it is before the end of the oldest backup', backups: [] }),
    reachable: async () => {
      throw new DbkitError('backup.missing', 'there is no base backup of this cluster');
    },
    ...more,
  };
}

const dumpsOf = (backups: readonly Backup[]): Dumps => ({
  name: 'dump',
  kind: 'logical',
  repository: baseOf(backups).repository,
  take: async () => backups[0]!,
  load: async () => Promise.reject(new DbkitError('command.failed', 'not asked for')),
  loadLate: async () => Promise.reject(new DbkitError('command.failed', 'not asked for')),
  verify: async () => undefined,
  onScratchDatabase: async () => Promise.reject(new DbkitError('command.failed', 'not asked for')),
});

const three = [
  backupOf('data_20261119_100000', { createdAt: '2026-11-19T10:00:00Z', state: 'proven', verifiedAt: '2026-11-20T10:00:00Z', newBytes: 0 }),
  backupOf('data_20261120_100000', { createdAt: '2026-11-20T10:00:00Z', pinned: true, note: 'before the upgrade' }),
  backupOf('data_20261121_100009', { state: 'damaged' }),
];
const [older, newer, broken] = three as [Backup, Backup, Backup];
const instance = { expireQuarantine: async () => [] } as unknown as Parts['instance'];
const board = { lastRecovery: async () => undefined } as unknown as Parts['board'];
const copies = { clearLeft: async () => undefined } as unknown as Parts['copies'];
const alerts = { channels: [], tell: async () => undefined } as unknown as Parts['alerts'];
/** No cluster is here: nobody else could take the backup. */
const carrier = { turn: async () => null };
const ask = (argv: readonly string[], ...backups: readonly Backups[]) =>
  inProcess(['backup', ...argv], { app: { backups, clock, instance, board, copies, alerts, carrier } });

test('the list is a table, newest first, that says what each backup is worth', async () => {
  const { status, out } = await ask(['list'], baseOf(three));
  expect(status).toBe(0);
  expect(
    out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
  ).toEqual([
    ['label', 'age', 'kind', 'size', 'new', 'state', 'PostgreSQL', 'note'],
    ['data_20261121_100009', '2 h ago', 'base', '4.0 KiB', '4.0 KiB', 'damaged', '15'],
    ['data_20261120_100000', '1 d 2 h ago', 'base', '4.0 KiB', '4.0 KiB', 'good, pinned', '15', 'before the upgrade'],
    ['data_20261119_100000', '2 d 2 h ago', 'base', '4.0 KiB', '0 B', 'proven', '15'],
  ]);
});

test('--json has every field, whatever its kind knows', async () => {
  const { out } = await ask(['list', '--json'], baseOf([newer, older]));
  const { report } = JSON.parse(out) as { report: { backups: object[] } };
  expect(report.backups.map((row) => Object.keys(row).sort())).toEqual(
    Array(2).fill(
      'createdAt engine kind label newBytes note path pgVersion pinned provenAt sizeBytes state systemIdentifier verifiedAt'.split(' '),
    ),
  );
});

test('a list is narrowed to what was made before a time, and to so many', async () => {
  const labels = async (...words: string[]): Promise<string[]> => {
    const { out } = await ask(['list', '--json', ...words], baseOf([newer, older]));
    return (JSON.parse(out) as { report: { backups: Backup[] } }).report.backups.map(({ label }) => label);
  };
  const [first, second] = await labels();
  expect(await labels('--limit', '1')).toEqual([first]);
  expect(await labels('--before', '2026-11-20 10:00:00+00')).toEqual([second]);
  expect((await ask(['list', '--limit', '0'], baseOf([newer]))).status).toBe(2);
});

test('without backups the list says how to get one', async () => {
  expect((await ask(['list'], baseOf([]))).out).toContain('dbkit backup create');
});

test('create hands its flags to the kind that was named', async () => {
  const base = baseOf([]);
  const { out } = await ask(['create', '--engine', 'copy', '--full', '--note', 'x', '--pin'], base);
  expect(base.asked).toEqual([{ full: true, note: 'x', pin: true, waitMs: expect.any(Number) as number }]);
  expect(out).toContain('data_20261121_120000');
  const { status, error } = await ask(['create', '--engine', 'tape'], base);
  expect({ status, error }).toEqual({ status: 2, error: "dbkit: there is no backup engine 'tape'\nHINT: there are: copy\n" });
});

test('a backup with damaged pages is kept and told by 65', async () => {
  const { status, out } = await ask(['create'], baseOf([], { take: async () => broken }));
  expect(status).toBe(65);
  expect(out).toMatch(/damaged.*kept[\s\S]*HINT/);
});

test.each([
  [['data_20261119_100001'], 'did you mean data_20261119_100000?'],
  [['nonsense'], 'there is no backup nonsense\n'],
])('a label that is not there is answered with one that is: %j', async (words, said) => {
  const { status, error } = await ask(['show', ...words], baseOf(three));
  expect(status).toBe(1);
  expect(error).toContain(said);
});

test('`latest` is the newest good one, and none is worse than a damaged one', async () => {
  expect((await ask(['show', 'latest'], baseOf(three))).out).toContain('data_20261120_100000');
  const { status, error } = await ask(['show', 'latest'], baseOf([broken]));
  expect({ status, error }).toMatchObject({ status: 1, error: expect.stringContaining('none of the 1 backups is good') });
});

test('`latest` where only dumps are good names the newest of them', async () => {
  const dump = backupOf('dump_20261121_090000', { kind: 'logical' });
  const { status, error } = await ask(['show', 'latest'], baseOf([]), dumpsOf([dump]));
  expect({ status, error }).toMatchObject({ status: 1, error: expect.stringContaining('dump_20261121_090000') });
  expect(error).not.toContain('is good');
});

test('verify goes on after a damaged one, and ends with 65', async () => {
  const base = baseOf(three);
  const { status, out } = await ask(['verify', '--all', '--deep'], base);
  expect(base.asked.map((asked) => (asked as unknown[])[0])).toEqual([newer.label, broken.label, older.label]);
  expect(base.asked[0]).toEqual([newer.label, { deep: true, test: false, isTrusted: false }]);
  expect(status).toBe(65);
  expect(out).toMatch(/^ok +data_20261120_100000[\s\S]*damaged +data_20261121_100009 .*global\/1260 is missing/);
});

test('verify without a label takes turns', () => {
  const entry = (label: string, verifiedAt: string | null) => ({ backup: { label, verifiedAt } });
  const labels = (found: readonly { backup: { label: string } }[]): string[] => found.map(({ backup }) => backup.label);
  expect(labels(dueOf([entry('c', null), entry('a', '2026-01-02'), entry('b', null)], false))).toEqual(['b', 'c']);
  expect(labels(dueOf([entry('c', '2026-01-03'), entry('a', '2026-01-01'), entry('b', '2026-01-02')], false))).toEqual(['a']);
});

test('a pin is set and removed', async () => {
  const base = baseOf(three);
  expect((await ask(['pin', 'latest'], base)).out).toContain('never expires');
  expect((await ask(['pin', '--remove', older.label], base)).out).toContain('retention decides');
  expect(base.asked).toEqual([
    [newer.label, { pinned: true }],
    [older.label, { pinned: false }],
  ]);
});
