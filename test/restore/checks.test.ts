import { expect, test } from 'vitest';
import { damages } from '../../src/backups/drill.ts';
import type { Local } from '../../src/instance/local.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { askEveryDatabase, createChecks } from '../../src/restore/checks.ts';

const failing = (thrown: unknown) => () => Promise.reject(thrown);
/** As a session rejects (instance/connection.ts). */
const sql = (code: string, message: string): Error =>
  new DbkitError('command.failed', `PostgreSQL answered: ${message}`, {
    cause: Object.assign(new Error(message), { code, severity: 'ERROR' }),
  });

test.each([
  ['bytes that are wrong', new DbkitError('data.corrupt', 'differs from what was written'), true],
  ['what PostgreSQL calls damage', sql('XX001', 'invalid page in block 3 of relation base/5/16384'), true],
  ['a full disk', Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }), false],
  ['a server that is short of memory', sql('53200', 'out of memory'), false],
  ['a session that was ended', sql('57P01', 'terminating connection due to administrator command'), false],
  ['nobody who answers', new DbkitError('service.unready', 'the server does not answer'), false],
])('%s: a failed check of a backup', async (_, thrown, isOfBackup) => {
  const checks = createChecks({ monotonicMs: () => 0 });
  await checks.add('every row can be read', failing(thrown));
  expect(checks.done).toMatchObject([{ outcome: 'failed', isOfBackup }]);
  expect(damages({ checks: checks.done }) !== undefined).toBe(isOfBackup);
});

test('databases that nobody answers for say nothing of the backup', async () => {
  let nowMs = 0;
  const clock = {
    monotonicMs: () => (nowMs += 60_000),
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    now: () => new Date(0),
  };
  const settings = { port: 1, superuser: 'postgres', socketDir: '/nonexistent' };
  const local = { settings, binaries: { major: 17 }, system: { clock } } as unknown as Local;
  const checks = createChecks(clock);
  await askEveryDatabase(checks, { local, socketDir: '/nonexistent' }, new AbortController().signal);
  expect(checks.done).toMatchObject([{ name: 'databases answer', outcome: 'failed', because: expect.stringMatching(/postgres: /) }]);
  expect(damages({ checks: checks.done }), 'silence is unknown').toBeUndefined();
});

test('a comparison with a server that goes on never speaks against the backup', async () => {
  const checks = createChecks({ monotonicMs: () => 0 });
  await checks.add('rows are those of the running server', async () => 'app: public.a has 3 rows instead of 2', { isOfBackup: false });
  expect(checks.done).toMatchObject([{ outcome: 'failed', isOfBackup: false }]);
  expect(damages({ checks: checks.done })).toBeUndefined();
});
