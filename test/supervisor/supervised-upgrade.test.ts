import { expect, test } from 'vitest';
import { upgradeUnit } from '../../src/supervisor/supervised-upgrade.ts';
import type { Unit } from '../../src/supervisor/unit.ts';
import type { UpgradeReport } from '../../src/upgrade/contract.ts';

const signal = new AbortController().signal;
const signals = { work: signal, start: signal };
const app = { config: { stopSeconds: 10 } } as Parameters<typeof upgradeUnit>[0];
const request = { to: 17, oldBinDir: undefined, method: undefined, allowMissing: false };

/** A unit that serves, and comes to `after` when it is started again. */
function stage({ after = 'ready', run, obstacles = [] }: { after?: 'ready' | 'held'; run: () => Promise<unknown>; obstacles?: unknown[] }) {
  const did: string[] = [];
  let state = 'ready';
  const unit = {
    service: { upgrader: { plan: async () => ({ obstacles }), run } },
    state: () => state,
    status: () => ({ failure: { message: 'the library pg_cron is missing' } }),
    stop: async () => {
      did.push('stop');
      state = 'stopped';
    },
    start: async () => {
      did.push('start');
      state = after; // Resolves for `held` too, as a unit does.
    },
  } as unknown as Unit;
  const done = async (): Promise<void> => void did.push('recorded');
  return { did, upgrade: () => upgradeUnit(app, unit, { request, backup: undefined, done }, signals) };
}

const report = { done: true, to: { major: 17, programs: '/17/bin' } } as UpgradeReport;

test('the server is stopped, upgraded, and serves again', async () => {
  const { did, upgrade } = stage({ run: async () => report });
  expect(await upgrade()).toBe(report);
  expect(did).toEqual(['stop', 'recorded', 'start']);
});

test('a server that is held afterwards is no success', async () => {
  const { did, upgrade } = stage({ after: 'held', run: async () => report });
  await expect(upgrade()).rejects.toMatchObject({ code: 'service.unready', changed: true, message: expect.stringContaining('pg_cron') });
  expect(did, 'what was replaced is known').toEqual(['stop', 'recorded', 'start']);
});

test('an upgrade that fails leaves the server serving, or says that it does not', async () => {
  const fails = async (): Promise<never> => Promise.reject(new Error('the disk is full'));
  const serving = stage({ run: fails });
  await expect(serving.upgrade()).rejects.toThrow(/^the disk is full$/);
  expect(serving.did).toEqual(['stop', 'start']);
  await expect(stage({ after: 'held', run: fails }).upgrade()).rejects.toMatchObject({
    code: 'service.unready',
    message: expect.stringMatching(/the disk is full.*pg_cron/),
  });
});

test('what stands in the way is told while the server still serves', async () => {
  const obstacles = [{ reason: 'new-programs-missing', because: 'no programs of a newer major', next: 'install them' }];
  const { did, upgrade } = stage({ run: async () => report, obstacles });
  await expect(upgrade()).rejects.toThrow('no programs of a newer major');
  expect(did).toEqual([]);
});
