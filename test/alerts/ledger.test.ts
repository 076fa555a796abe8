import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Alert, StampedAlert } from '../../src/alerts/alert.ts';
import { createAlertLedger, openSince } from '../../src/alerts/ledger.ts';
import type { Files } from '../../src/kernel/machine.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { createSystem } from '../../src/machine/machine.ts';

let stateDir = '';
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'dbkit-ledger-'));
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

const alert = (topic: string, title: string, over: Partial<Alert> = {}): Alert => ({
  topic,
  severity: 'ERROR',
  resolves: false,
  title,
  lines: [],
  command: null,
  ...over,
});
const over = (topic: string): Alert => alert(topic, 'all is well again', { severity: 'SUCCESS', resolves: true });

async function ledger(instead: (real: Files) => Partial<Files> = () => ({})) {
  const real = await createSystem(
    createLogger('error', () => undefined),
    {},
  );
  const system = { ...real, files: { ...real.files, ...instead(real.files) } };
  let second = 0;
  const stamp = (one: Alert): StampedAlert => {
    second += 1;
    return { ...one, at: new Date(Date.now() + second).toISOString(), host: 'db1', system: 'PostgreSQL', environment: null };
  };
  return createAlertLedger({ stateDir, repeatAfterMs: 3_600_000, stamp }, system);
}

test('what is news is kept once, with its end; the end of nothing is none', async () => {
  const kept = await ledger();
  for (const one of [
    over('health'),
    alert('health', 'down'),
    alert('health', 'down'),
    alert('role', 'n2 leads'),
    over('health'),
    over('health'),
  ])
    await kept.note(one);
  expect((await kept.all()).map(({ topic, title }) => [topic, title])).toEqual([
    ['health', 'down'],
    ['role', 'n2 leads'],
    ['health', 'all is well again'],
  ]);
  expect((await stat(join(stateDir, 'alerts-told.json'))).mode & 0o777).toBe(0o600);
});

test('alerts that come at the same time are all kept, and the oldest go', async () => {
  const kept = await ledger();
  await Promise.all(Array.from({ length: 520 }, (_one, index) => kept.note(alert('role', `change ${index}`, { severity: 'INFO' }))));
  const titles = (await kept.all()).map(({ title }) => title);
  expect([titles.length, titles[0], titles.at(-1)]).toEqual([500, 'change 20', 'change 519']);
});

test('a broken history is set aside and begins again', async () => {
  await writeFile(join(stateDir, 'alerts-told.json'), '{"schema": "dbkit.alerts-told/v1", "alerts": [{}');
  const kept = await ledger();
  expect(await kept.all()).toEqual([]);
  await kept.note(alert('health', 'down'));
  expect(await kept.all()).toHaveLength(1);
});

test('a history that cannot be read for a moment is not begun anew', async () => {
  const before = await ledger();
  for (const title of ['down', 'slow', 'full']) await before.note(alert(title, title));
  let isBad = true;
  const unread: Files['readJson'] = () => Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }));
  const kept = await ledger(({ readJson }) => ({ readJson: (...given) => (isBad ? unread(...given) : readJson(...given)) }));
  expect(await kept.all()).toEqual([]);
  await kept.note(alert('late', 'late'));
  isBad = false;
  await kept.note(alert('last', 'last'));
  expect((await kept.all()).map(({ title }) => title)).toEqual(['down', 'slow', 'full', 'last']);
});

test('a trouble is open since its first word until its end', () => {
  const told = (minute: number, one: Alert): StampedAlert => ({
    ...one,
    at: `2026-11-28T14:0${minute}:00.000Z`,
    host: 'db1',
    system: '',
    environment: null,
  });
  const story = [
    told(1, alert('role', 'n2 leads')),
    told(2, alert('health', 'failed')),
    told(3, alert('health', 'given up')),
    told(4, over('role')),
    told(5, alert('news', 'x', { severity: 'INFO' })),
  ];
  const any = () => true;
  expect(openSince(story, any)).toBe('2026-11-28T14:02:00.000Z');
  expect(openSince(story, ({ title }) => title === 'given up')).toBe('2026-11-28T14:03:00.000Z');
  expect(
    openSince(story, ({ topic }) => topic === 'role'),
    'it is over',
  ).toBeUndefined();
  expect(openSince([...story, told(6, over('health'))], any)).toBeUndefined();
});
