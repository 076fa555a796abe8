import { describe, expect, test } from 'vitest';
import { nearest } from '../../src/kernel/closest-name.ts';
import { exitStatus } from '../../src/kernel/exit-status.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { decideRestart, type RestartFacts, type RestartRule, restartRules } from '../../src/supervisor/restart-policy.ts';
import { startLayers } from '../../src/supervisor/service-order.ts';
import { planStop } from '../../src/supervisor/stop-plan.ts';
import { everyRow } from '../harness/every-row.ts';

const service = (name: string, ...dependsOn: string[]) => ({ name, dependsOn });
const names = (layers: { name: string }[][]) => layers.map((layer) => layer.map(({ name }) => name));

describe('the order of starting', () => {
  test('what depends on nothing starts together, the rest after what it needs', () => {
    expect(names(startLayers([service('web', 'db', 'cache'), service('db'), service('cache'), service('cron', 'web')]))).toEqual([
      ['db', 'cache'],
      ['web'],
      ['cron'],
    ]);
  });
  test('a circle is refused with its path', () => {
    expect(() => startLayers([service('a', 'b'), service('b', 'c'), service('c', 'a')])).toThrow('a → b → c → a');
  });
  test('a dependency that nobody provides is refused, one that is disabled is none', () => {
    expect(() => startLayers([service('web', 'db')])).toThrow("depends on 'db'");
    expect(names(startLayers([service('web', 'db')], ['db']))).toEqual([['web']]);
  });
  test('a name given twice is refused', () =>
    expect(() => startLayers([service('a'), service('a')])).toThrow("two services are named 'a'"));
  test.each([
    ['a service that needs itself', [service('a', 'a')], 'a → a'],
    ['a circle that is entered from outside', [service('web', 'a'), service('a', 'b'), service('b', 'a')], 'web → a → b → a'],
  ])('%s is a circle too', (_, services, path) => expect(() => startLayers(services)).toThrow(path));
  test('every refusal is a configuration failure that says what to do', () => {
    for (const services of [[service('a', 'a')], [service('a', 'b')], [service('a'), service('a')]])
      expect(() => startLayers(services)).toThrow(expect.objectContaining({ code: 'config.invalid', hint: expect.any(String) }));
  });
  test('a service is as deep as the deepest it needs, and nothing to start is no layer', () => {
    const [db, cache, web] = [service('db'), service('cache', 'db'), service('web', 'db', 'cache')];
    expect(names(startLayers([web, cache, db]))).toEqual([['db'], ['cache'], ['web']]);
    expect(startLayers([])).toEqual([]);
  });
});

describe('restarting', () => {
  const policy = { policy: 'on-failure', backoffMs: 1_000, backoffMaxMs: 5_000, max: 3, windowMs: 60_000 } as const;
  const died = { code: 1, signal: null };
  test('the wait doubles with each death in the window, up to its limit', () => {
    const waits = [[100], [90, 100], [80, 90, 100]].map((deaths) => decideRestart(policy, died, deaths, 100));
    expect(waits).toMatchObject([{ afterMs: 1_000 }, { afterMs: 2_000 }, { afterMs: 4_000 }]);
    expect(decideRestart({ ...policy, max: 9 }, died, [1, 2, 3, 4, 5, 6], 100)).toMatchObject({ afterMs: 5_000 });
  });
  test('too many deaths within the window end it, old ones are forgiven', () => {
    expect(decideRestart(policy, died, [70, 80, 90, 100], 100)).toMatchObject({ restart: false });
    expect(decideRestart(policy, died, [1, 2, 3, 100_000], 100_000)).toMatchObject({ restart: true, afterMs: 1_000 });
  });
  test('a service that ends by itself is only started again when it always must run', () => {
    const ended = { code: 0, signal: null };
    expect(decideRestart(policy, ended, [100], 100)).toMatchObject({ restart: false });
    expect(decideRestart({ ...policy, policy: 'always' }, ended, [100], 100)).toMatchObject({ restart: true });
    expect(decideRestart({ ...policy, policy: 'never' }, died, [100], 100)).toMatchObject({ restart: false });
  });
  test.each([
    ['on-failure', { code: 1, signal: null }, true],
    ['on-failure', { code: null, signal: 'SIGKILL' }, true],
    ['on-failure', { code: 0, signal: null }, false],
    ['always', { code: 0, signal: null }, true],
    ['always', { code: null, signal: 'SIGTERM' }, true],
    ['never', { code: 1, signal: null }, false],
    ['never', { code: null, signal: 'SIGKILL' }, false],
  ] as const)('%s after %j: started again %s', (name, exit, restart) =>
    expect(decideRestart({ ...policy, policy: name }, exit, [100], 100).restart).toBe(restart),
  );
  test('without tolerance the first death ends it, whatever always says', () => {
    const decision = decideRestart({ ...policy, policy: 'always', max: 0 }, died, [100], 100);
    expect(decision).toMatchObject({ restart: false, reason: 'died-too-often' });
  });
});

describe('stopping', () => {
  test('the whole stop fits the budget, with time for an immediate stop at its end', () => {
    expect(planStop(8_000)).toEqual({ commandMs: 2_400, immediateMs: 6_500, endMs: 8_000 });
    expect(planStop(2_000)).toEqual({ commandMs: 600, immediateMs: 1_500, endMs: 2_000 });
  });
  test.each([1, 1_000, 2_500, 8_000, 120_000])('a budget of %d ms is divided in order', (budgetMs) => {
    const { commandMs, immediateMs, endMs } = planStop(budgetMs);
    expect([0, commandMs, immediateMs, endMs]).toEqual([0, commandMs, immediateMs, endMs].sort((a, b) => a - b));
    expect(commandMs).toBeLessThan(immediateMs);
    expect(immediateMs).toBeLessThan(endMs);
    expect(endMs).toBe(budgetMs);
  });
  test('a status is the program’s own, or 128 plus the signal', () => {
    expect([
      exitStatus({ code: 42, signal: null }),
      exitStatus({ code: null, signal: 'SIGTERM' }),
      exitStatus({ code: null, signal: 'SIGINT' }),
      exitStatus({ code: null, signal: 'SIGKILL' }),
      exitStatus({ code: 0, signal: null }),
      exitStatus({ code: null, signal: null }), // The kernel said neither.
    ]).toEqual([42, 143, 130, 137, 0, 1]);
  });
});

test.each([
  ['prot', 'port'],
  ['PORT', 'port'],
  ['backpDir', 'backupDir'],
  ['maxReplacementPerHours', 'maxReplacementsPerHour'],
  ['colour', undefined],
  ['', undefined],
])('the name nearest to %j is %s', (word, found) =>
  expect(nearest(word, ['user', 'port', 'backupDir', 'maxReplacementsPerHour'])).toBe(found),
);

const restarting: RestartFacts = { policy: 'on-failure', endedWell: false, recent: 1, max: 3, windowSeconds: 60 };
everyRow<RestartRule, RestartFacts>('restart policy', (given) => decide(restartRules, given), {
  'restarts-never': { ...restarting, policy: 'never' },
  'ended-by-itself': { ...restarting, endedWell: true },
  'died-too-often': { ...restarting, recent: 4 },
  restarts: restarting,
});
