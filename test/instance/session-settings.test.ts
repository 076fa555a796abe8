import { expect, test } from 'vitest';
import { lateSettings, refusesSettings, startupOptions } from '../../src/instance/session-settings.ts';

test('a superuser session begins with the catalogs alone, no limits of others, no triggers and no libraries', () => {
  const options = startupOptions({ as: 'superuser', major: 17, lockTimeoutMs: 2_000 });
  for (const part of [
    '-c search_path=pg_catalog,pg_temp',
    '-c role=none',
    '-c lock_timeout=2000',
    '-c statement_timeout=0',
    '-c idle_session_timeout=0',
    '-c idle_in_transaction_session_timeout=0',
    '-c transaction_timeout=0',
    '-c synchronous_commit=local',
    '-c jit=off',
    '-c event_triggers=off',
    '-c session_preload_libraries=',
    '-c default_transaction_isolation=read\\ committed',
  ])
    expect(options).toContain(part);
});

test.each([
  [13, [], ['idle_session_timeout', 'transaction_timeout', 'event_triggers']],
  [15, ['idle_session_timeout'], ['transaction_timeout', 'event_triggers']],
  [18, ['idle_session_timeout', 'transaction_timeout', 'event_triggers'], []],
  [undefined, [], ['idle_session_timeout', 'transaction_timeout', 'event_triggers']],
] as const)('PostgreSQL %s is told only what it knows', (major, known, unknown) => {
  const options = startupOptions({ as: 'superuser', major });
  for (const name of known) expect(options).toContain(`-c ${name}=`);
  for (const name of unknown) expect(options).not.toContain(name);
});

test('what the major was not known for is set once the server has said it', () => {
  expect(lateSettings({ as: 'superuser' }, 13)).toBe('');
  expect(lateSettings({ as: 'superuser' }, 15)).toBe('SET idle_session_timeout = 0');
  expect(lateSettings({ as: 'superuser' }, 18)).toBe('SET idle_session_timeout = 0; SET transaction_timeout = 0; SET event_triggers = off');
  expect(lateSettings({ as: 'superuser', major: 18 }, 18)).toBe('');
});

test('whoever is no superuser is not given what only superusers may set, and the application keeps its search_path', () => {
  expect(startupOptions({ as: 'superuser', major: 18 }, { trusted: false })).not.toMatch(/event_triggers|session_preload|lc_messages/);
  expect(startupOptions({ as: 'application', major: 18 })).not.toMatch(/search_path|role=|event_triggers/);
});

test('a superuser of dbkit writes where sessions are read-only by default, and others only where they say so', () => {
  const of = (needs: Parameters<typeof startupOptions>[0]) => startupOptions(needs).includes('-c default_transaction_read_only=off');
  expect([of({ as: 'superuser' }), of({ as: 'superuser', readOnlyDefault: 'kept' })]).toEqual([true, false]);
  expect([of({ as: 'application' }), of({ as: 'application', readOnlyDefault: 'off' })]).toEqual([false, true]);
});

test('only a refused setting is asked for without it', () => {
  expect(['42501', '42704', '22023', '28000', '53300', undefined].map(refusesSettings)).toEqual([true, true, true, false, false, false]);
});
