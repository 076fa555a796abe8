import { expect, test } from 'vitest';
import { pgUpgradeArguments } from '../../src/upgrade/by-files.ts';
import { grantOf } from '../../src/upgrade/carry-roles.ts';
import { initdbArguments } from '../../src/upgrade/new-cluster.ts';
import { differences, type KnownRelation } from '../../src/upgrade/relations.ts';
import { commentedOut, refusedSettings } from '../../src/upgrade/removed-settings.ts';

const old = {
  bootstrap: 'postgres',
  template0: { encoding: 'UTF8', collate: 'de_DE.utf8', ctype: 'C', provider: 'c', locale: null },
} as const;
const control = { walSegmentSizeBytes: 64 * 2 ** 20, checksums: false };
const to = { method: 'pg_upgrade', directory: '/data/.dbkit/staged' } as const;

test('the new cluster is made like the old one', () => {
  const args = initdbArguments(old, control, { ...to, major: 17 });
  expect(args).toEqual(expect.arrayContaining(['--username=postgres', '--lc-collate=de_DE.utf8', '--lc-ctype=C', '--wal-segsize=64']));
  expect(args.join(' '), 'pg_upgrade wants both clusters with checksums, or neither').not.toContain('checksums');
  expect(initdbArguments(old, control, { ...to, major: 18 }), 'on by default from 18 on').toContain('--no-data-checksums');
  expect(initdbArguments(old, { ...control, checksums: true }, { ...to, major: 17 })).toContain('--data-checksums');
  expect(initdbArguments(old, control, { ...to, method: 'dump', major: 17 }), 'a dump is loaded into pages of its own').toContain(
    '--data-checksums',
  );
  const icu = { ...old, template0: { ...old.template0, provider: 'i' as const, locale: 'de' } };
  expect(initdbArguments(icu, control, { ...to, major: 17 })).toEqual(expect.arrayContaining(['--locale-provider=icu', '--icu-locale=de']));
});

test('pg_upgrade never links, and clones only where that is possible', () => {
  const binaries = { version: '', origin: 'system' } as const;
  const given = {
    old: { ...binaries, directory: '/15/bin', major: 15 },
    next: { ...binaries, directory: '/17/bin', major: 17 },
    dataDir: '/data',
    staged: '/data/.dbkit/staged',
    bootstrap: 'postgres',
    folder: '/tmp/dbkit-a',
    hba: '/tmp/dbkit-a/pg_hba.conf',
    jobs: 2,
  };
  const args = pgUpgradeArguments({ ...given, clone: false });
  expect(args).toEqual(expect.arrayContaining(['--old-datadir=/data', '--new-datadir=/data/.dbkit/staged', '--old-bindir=/15/bin']));
  expect(args.some((arg) => /link|swap|clone/.test(arg))).toBe(false);
  expect(
    args.find((arg) => arg.startsWith('--new-options=')),
    'its segments bear names that the old cluster goes on to use',
  ).toContain('archive_mode=off');
  expect(pgUpgradeArguments({ ...given, clone: true })).toContain('--clone');
});

test('what a server says of settings that it does not accept', () => {
  const said = [
    '2026-11-28 19:00:00 UTC [1] LOG:  unrecognized configuration parameter "stats_temp_directory" in file "/data/postgresql.conf" line 12',
    '2026-11-28 19:00:00 UTC [1] LOG:  invalid value for parameter "wal_level": "hot"',
    '2026-11-28 19:00:00 UTC [1] FATAL:  configuration file "/data/postgresql.conf" contains errors',
  ].join('\n');
  expect(refusedSettings(said)).toEqual([
    { name: 'stats_temp_directory', file: '/data/postgresql.conf', line: 12, because: 'this major version does not know it' },
    { name: 'wal_level', file: null, line: null, because: 'invalid value for parameter "wal_level": "hot"' },
  ]);
  expect(refusedSettings('FATAL:  could not create lock file')).toEqual([]);
});

test('a setting is commented out wherever it is set, and nothing else', () => {
  const text =
    "work_mem = '4MB'\nstats_temp_directory='x'\n#stats_temp_directory = 'y'\nStats_Temp_Directory 'z'\nstats_temp_directory_2 = 1\n";
  expect(commentedOut(text, 'stats_temp_directory', 'gone')).toBe(
    "work_mem = '4MB'\n# gone: stats_temp_directory='x'\n#stats_temp_directory = 'y'\n# gone: Stats_Temp_Directory 'z'\nstats_temp_directory_2 = 1\n",
  );
  expect(commentedOut(text, 'jit', 'gone')).toBeUndefined();
});

test('relations that are missing, or have another size where files are taken over, are named', () => {
  const table: KnownRelation = { database: 'app', name: 'public.t', kind: 'r', sizeBytes: 8192 };
  const index: KnownRelation = { database: 'app', name: 'public.i', kind: 'i', sizeBytes: 0 };
  expect(differences([table, index], [table, index], { bySize: true })).toEqual([]);
  expect(differences([table, index], [table], { bySize: true })).toEqual(['public.i of database app is missing']);
  expect(differences([table], [{ ...table, sizeBytes: 0 }], { bySize: true })).toEqual([
    'public.t of database app has 0 bytes instead of 8192',
  ]);
  expect(differences([table], [{ ...table, sizeBytes: 0 }], { bySize: false }), 'a load packs rows anew').toEqual([]);
  expect(differences([table], [{ ...table, database: 'other' }], { bySize: false })).toHaveLength(1);
});

test('a membership keeps its options, in the words of the new major', () => {
  const id = (name: string): string => `"${name}"`;
  const plain = { role: 'team', member: 'a', admin: false, inherit: null, set: null };
  expect(grantOf(plain, id, 17)).toBe('GRANT "team" TO "a"');
  expect(grantOf({ ...plain, admin: true }, id, 15)).toBe('GRANT "team" TO "a" WITH ADMIN OPTION');
  expect(grantOf({ ...plain, admin: true }, id, 16)).toBe('GRANT "team" TO "a" WITH ADMIN true');
  expect(grantOf({ ...plain, inherit: 'false', set: 'true' }, id, 17)).toBe('GRANT "team" TO "a" WITH INHERIT false, SET true');
});
