import { expect, test } from 'vitest';
import { decide } from '../../src/kernel/reasons.ts';
import { isPlainPath, type MethodFacts, methodRows } from '../../src/upgrade/methods.ts';
import { obstacleRows, obstaclesTo, type UpgradeFacts } from '../../src/upgrade/obstacles.ts';
import { requireNone } from '../../src/upgrade/refuse.ts';
import { leftBehind, requireWhole } from '../../src/upgrade/upgrade.ts';

const fine: UpgradeFacts = {
  from: 15,
  to: 17,
  hasOldPrograms: true,
  configuredMajor: null,
  method: 'pg_upgrade',
  canFiles: true,
  canDump: true,
  dataDir: '/data',
  damage: null,
  isStandby: false,
  configurationElsewhere: null,
  tablespaces: 0,
  preparedFiles: 0,
  pathIsPlain: true,
  neededBytes: 10,
  freeBytes: 20,
};
const asked = { prepared: [], closed: [], invalid: [], template1Objects: 0, unavailableExtensions: [] };

test('nothing stands in the way of a sound cluster', () => {
  expect(obstaclesTo(fine)).toEqual([]);
  expect(obstaclesTo({ ...fine, ...asked })).toEqual([]);
  expect(obstaclesTo({ ...fine, configuredMajor: 17 })).toEqual([]);
  expect(() => requireNone([])).not.toThrow();
});

const cases: Readonly<Record<(typeof obstacleRows)[number]['id'], Partial<UpgradeFacts>>> = {
  'nothing-to-upgrade': { from: null },
  'upgrade-already-done': { to: 15 },
  'upgrade-goes-back': { to: 14 },
  'new-programs-missing': { to: null },
  'old-programs-missing': { hasOldPrograms: false },
  'programs-stay-old': { configuredMajor: 15 },
  'damaged-before-upgrade': { damage: 'base/5/16384: the file is gone' },
  'standby-not-upgraded': { isStandby: true },
  'configuration-elsewhere': { configurationElsewhere: '/etc/postgresql/15/main/postgresql.conf' },
  'tablespaces-not-moved': { tablespaces: 2 },
  'prepared-transactions-open': { prepared: ['one'] },
  'no-way-to-upgrade-here': { method: null },
  'pg-upgrade-not-usable': { canFiles: false },
  'dump-not-usable': { method: 'dump', canDump: false },
  'path-not-for-a-shell': { pathIsPlain: false },
  'upgrade-needs-room': { neededBytes: 30 },
  'database-closed-to-upgrade': { closed: ['secret'] },
  'database-half-dropped': { invalid: ['half'] },
  'template1-holds-objects': { method: 'dump', template1Objects: 3 },
  'extension-not-installed': { unavailableExtensions: ['postgis'] },
};

test.each(Object.entries(cases))('%s', (id, facts) => {
  const found = obstaclesTo({ ...fine, ...facts });
  expect(found.map(({ reason }) => reason)).toEqual([id]);
  expect(`${found[0]?.because} ${found[0]?.next}`, 'every fact is filled in').not.toMatch(/[{}]|undefined|null/);
  expect(() => requireNone(found)).toThrow(found[0]!.because);
});

test('every row has a case', () => {
  expect(Object.keys(cases)).toEqual(obstacleRows.map(({ id }) => id));
});

test('a dump is not stopped by what concerns pg_upgrade alone', () => {
  expect(obstaclesTo({ ...fine, method: 'dump', canFiles: false, pathIsPlain: false })).toEqual([]);
  expect(obstaclesTo({ ...fine, preparedFiles: 1 }).map(({ reason }) => reason)).toEqual(['prepared-transactions-open']);
  expect(obstaclesTo({ ...fine, template1Objects: 3 }), 'pg_upgrade takes template1 along').toEqual([]);
});

const methods: Readonly<Record<(typeof methodRows)[number]['id'], Partial<MethodFacts>>> = {
  'dump-asked-for': { wanted: 'dump', pgUpgrade: true },
  'files-asked-for': { wanted: 'pg_upgrade' },
  'files-can-be-taken-over': { pgUpgrade: true, dump: true },
  'no-whole-set-of-programs': { dump: true },
  'no-way-to-upgrade': {},
};

test.each(Object.entries(methods))('the method: %s', (id, facts) => {
  const none = { wanted: undefined, pgUpgrade: false, pathIsPlain: true, dump: false };
  expect(decide<MethodFacts, (typeof methodRows)[number]>(methodRows, { ...none, ...facts }).id).toBe(id);
});

test('a path that a shell would read is dumped instead', () => {
  expect(isPlainPath('/var/lib/postgresql/15/main')).toBe(true);
  for (const path of ['/a b', '/a"b', '/a$b', '/a`b', '/ä']) expect(isPlainPath(path)).toBe(false);
  const facts = { wanted: undefined, pgUpgrade: true, pathIsPlain: false, dump: true };
  expect(decide<MethodFacts, (typeof methodRows)[number]>(methodRows, facts).then).toBe('dump');
});

test('objects may be left to be mended by hand, rows never', () => {
  const view = { database: 'app', what: 'view public v app', because: 'no such function' };
  const late = { database: 'postgres', what: 'table data cron job postgres', because: 'another column' };
  expect(() => requireWhole([], { allowMissing: false })).not.toThrow();
  expect(() => requireWhole([view], { allowMissing: false })).toThrow('view public v');
  expect(() => requireWhole([view], { allowMissing: true })).not.toThrow();
  expect(() => requireWhole([view, late], { allowMissing: true })).toThrow('postgres: table data cron job');
});

test('slots and subscriptions that do not go on are told', () => {
  const old = {
    snapshots: [],
    slots: [
      { name: 'dbkit_archive', type: 'physical' }, // dbkit makes its own again.
      { name: 'standby_2', type: 'physical' },
      { name: 'to_lake', type: 'logical' },
    ],
    subscriptions: [{ database: 'app', name: 'from_shop' }],
  } as const;
  const from = (major: number) => ({ major, programs: null });
  const [slots, subscriptions] = leftBehind({ method: 'pg_upgrade', from: from(15) }, old);
  expect(slots).toContain('standby_2, to_lake');
  expect(subscriptions).toContain('from_shop');
  expect(leftBehind({ method: 'pg_upgrade', from: from(17) }, old)).toEqual([expect.stringMatching(/: standby_2;/)]);
  expect(leftBehind({ method: 'dump', from: from(17) }, old), 'a subscription of a dump is told as missing').toHaveLength(1);
});
