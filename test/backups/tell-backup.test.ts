import { expect, test } from 'vitest';
import type { Alert } from '../../src/alerts/alert.ts';
import { listed } from '../../src/backups/list-backups.ts';
import type { BackupReport } from '../../src/backups/take-backup.ts';
import { tellBackup } from '../../src/backups/tell-backup.ts';
import { DbkitError } from '../../src/kernel/errors.ts';

const made = {
  label: 'data_20261120_195400',
  path: '/b/data_20261120_195400',
  kind: 'physical',
  createdAt: '2026-11-20T19:54:01.000Z',
  state: 'good',
  pgVersion: 15,
  systemIdentifier: '7585937000000000123',
  sizeBytes: 2_097_152,
} as const;

/** What is told of a backup that ends so, and how the command ends. */
async function toldOf(work: () => Promise<BackupReport>, { channels = ['mail'], isStopped = false } = {}) {
  const stop = new AbortController();
  if (isStopped) stop.abort();
  const told: Alert[] = [];
  const alerts = { channels, tell: async (alert: Alert) => void told.push(alert) };
  const ended = await tellBackup({ alerts }, stop.signal, work).catch((cause: unknown) => cause);
  return {
    told: told.map(({ topic, severity, resolves }) => ({ topic, severity, resolves })),
    lines: told.flatMap(({ lines }) => lines),
    ended,
  };
}
const succeeds = async (): Promise<BackupReport> => ({ backup: listed(made, 'copy') });
const fails = (code: 'volume.full' | 'lock.held' | 'usage.invalid') => async (): Promise<BackupReport> => {
  throw new DbkitError(code, 'it cannot be written', { hint: 'make room' });
};

test('a backup is a piece of news, and the end of a failure that was told', async () => {
  const { told, lines } = await toldOf(succeeds);
  expect(told).toEqual([
    { topic: 'backup', severity: 'INFO', resolves: false },
    { topic: 'backup', severity: 'SUCCESS', resolves: true },
  ]);
  expect(lines[0]).toBe('data_20261120_195400, 2.0 MiB.');
});

test('a backup that fails is an error, with its reason and what to do, and the command still fails', async () => {
  const { told, lines, ended } = await toldOf(fails('volume.full'));
  expect(told).toEqual([{ topic: 'backup', severity: 'ERROR', resolves: false }]);
  expect(lines).toEqual(['it cannot be written.', 'make room.']);
  expect(ended).toBeInstanceOf(DbkitError);
});

test.each([
  ['one that another backup forbids', fails('lock.held'), {}],
  ['a mistyped command', fails('usage.invalid'), {}],
  ['one that was not needed', async (): Promise<BackupReport> => ({ backup: null, because: 'nothing has changed' }), {}],
  ['one that was stopped', fails('volume.full'), { isStopped: true }],
  ['one where nobody listens', succeeds, { channels: [] }],
])('nobody is told of %s', async (_, work, more) => {
  expect((await toldOf(work, more)).told).toEqual([]);
});
