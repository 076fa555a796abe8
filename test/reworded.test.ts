import { describe, expect, test } from 'vitest';
import { ladder } from '../src/recovery/ladder.ts';
import { rewordEverything } from './harness/reword.ts';

rewordEverything(); // The files below find the tables like that.

test('every sentence is another one', () => {
  expect(ladder.find(({ id }) => id === 'sound')?.words).toBe('dnuos');
});

/** Nothing may come out differently for it: decisions carry ids. */
describe.each([
  ['recovery', () => import('./recovery/recovery.test.ts')],
  ['resumption', () => import('./recovery/resumption.test.ts')],
  ['triage', () => import('./recovery/triage.test.ts')],
  ['retention', () => import('./backups/retention.test.ts')],
  ['quarantine', () => import('./backups/quarantine-retention.test.ts')],
  ['restarts', () => import('./supervisor/orchestration.test.ts')],
  ['monitor', () => import('./monitor/monitor.test.ts')],
  ['health', () => import('./health/health.test.ts')],
])('with every sentence reworded: %s', async (_, file) => {
  await file();
});
