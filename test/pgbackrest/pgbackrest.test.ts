import { readFileSync } from 'node:fs';
import { parse, safeParse } from 'valibot';
import { expect, test } from 'vitest';
import type { PointRequest } from '../../src/backups/base/points/point.ts';
import { refusedVerbs } from '../../src/backups/engine-refusals.ts';
import { configSchema } from '../../src/config/config.ts';
import { engineRules } from '../../src/config/pgbackrest-settings.ts';
import { failures } from '../../src/kernel/errors.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { archiveSettings, recoverySettings } from '../../src/pgbackrest/archive.ts';
import { annotationArguments, toBackup } from '../../src/pgbackrest/catalog.ts';
import { complaintIn, failureOf, statuses } from '../../src/pgbackrest/failures.ts';
import { features, has, parseVersion } from '../../src/pgbackrest/features.ts';
import { labelOf, parseInfo, type RestBackup } from '../../src/pgbackrest/info.ts';
import { restPointRows } from '../../src/pgbackrest/point-rows.ts';
import { choose } from '../../src/pgbackrest/points.ts';
import { placesIn, type Rendered, renderConfig } from '../../src/pgbackrest/render.ts';
import { planRestRetention } from '../../src/pgbackrest/retention.ts';
import { stanzaStep } from '../../src/pgbackrest/stanza.ts';
import { typeOf } from '../../src/pgbackrest/take.ts';
import { parseVerify } from '../../src/pgbackrest/verify.ts';

const captured = readFileSync(new URL('info-2.45.json', import.meta.url), 'utf8');
const info = parseInfo(captured, 'main');
const [full, incr, diff] = info.backups as [RestBackup, RestBackup, RestBackup];

test('the version decides what is used, and an older one is refused by name', () => {
  expect(parseVersion('pgBackRest 2.45\n', 'p')).toEqual({ major: 2, minor: 45 });
  expect(parseVersion('pgBackRest 2.55.1', 'p')).toEqual({ major: 2, minor: 55 });
  expect(() => parseVersion('pgBackRest 2.44', 'p')).toThrow(/older than 2\.45/);
  expect(() => parseVersion('psql (PostgreSQL) 15.4', 'psql')).toThrow(/is not pgBackRest/);
  for (const [name, { from }] of Object.entries(features)) {
    expect(has(from, name as keyof typeof features), name).toBe(true);
    expect(has({ major: from.major, minor: from.minor - 1 }, name as keyof typeof features), name).toBe(false);
  }
});

test('info of 2.45: labels, LSNs, sizes, what needs what; 64 bits of the system identifier are kept', () => {
  expect(info.backups.map(({ label, type, needs }) => ({ label, type, needs }))).toEqual([
    { label: 'data_20261129_110408', type: 'full', needs: [] },
    { label: 'data_20261129_110414', type: 'incr', needs: ['20261129-110408F'] },
    { label: 'data_20261129_110420', type: 'diff', needs: ['20261129-110408F'] },
  ]);
  expect(full).toMatchObject({
    startLsn: '0/2000028',
    stopLsn: '0/2000100',
    timeline: 1,
    systemIdentifier: '7713547552585095136',
    pgVersion: 15,
  });
  expect(full).toMatchObject({ sizeBytes: 39_769_590, storedBytes: 2_818_095, hasDamagedPages: false });
  expect(info.archives).toEqual([
    {
      systemIdentifier: '7713547552585095136',
      pgVersion: 15,
      id: '15-1',
      first: '000000010000000000000001',
      last: '000000010000000000000006',
    },
  ]);
  expect(toBackup(full, '/repo', 'main')).toMatchObject({
    path: '/repo/backup/main/20261129-110408F',
    createdAt: '2026-11-29T11:04:11.000Z',
    note: 'hallo = welt, ja',
    state: 'good',
    isPlain: false,
  });
  expect(toBackup(incr, 's3://bucket/some', 'main').path).toBe('s3://bucket/some/backup/main/20261129-110408F_20261129-110414I');
});

test('what is wrong with info is said: another stanza has nothing, a repository that cannot be read is no empty one, names are checked', () => {
  expect(parseInfo(captured, 'other')).toEqual({ backups: [], archives: [], clusters: [] });
  expect(parseInfo('[]', 'main').backups).toEqual([]);
  const broken = captured.replaceAll(/"code":\s*0/g, '"code":99');
  expect(() => parseInfo(broken, 'main')).toThrow(/cannot be read/);
  expect(() => parseInfo(captured.replaceAll('20261129-110408F', '../../etc'), 'main')).toThrow(/not understood/);
  expect(() => parseInfo('nothing', 'main')).toThrow(/is not JSON/);
  expect(labelOf('20261129-110408F_20261130-020000D')).toBe('data_20261130_020000');
  expect(() => labelOf('20261329-110408F')).toThrow(/does not exist/);
});

test('annotations and the error flag are the state of a backup', () => {
  const state = (annotations: Record<string, string>, hasDamagedPages = false) =>
    toBackup({ ...full, annotations, hasDamagedPages }, '/r', 's').state;
  expect(state({})).toBe('good');
  expect(state({ 'dbkit-verified-at': '2026-11-29T11:00:00Z' })).toBe('verified');
  expect(state({ 'dbkit-verified-at': '2026-11-29T11:00:00Z', 'dbkit-proven-at': '2026-11-29T11:00:00Z' })).toBe('proven');
  expect(state({ 'dbkit-proven-at': '2026-11-29T11:00:00Z', 'dbkit-problem': 'checksum invalid: 1' })).toBe('damaged');
  expect(state({}, true)).toBe('damaged');
  expect(annotationArguments({ note: 'two\nlines', pinned: '' })).toEqual([
    '--annotation=dbkit-note=two lines',
    '--annotation=dbkit-pinned=',
  ]);
  expect(toBackup({ ...full, annotations: { 'dbkit-known-damage': 'nonsense' } }, '/r', 's').knownDamage).toEqual([]);
});

const settings = parse(configSchema, {}).pgbackrest;
const rendered: Rendered = {
  settings,
  backupDir: '/b',
  places: placesIn('/state'),
  server: { dataDir: '/data', socketDir: '/run', port: 5433, superuser: 'postgres' },
  secrets: {},
  version: { major: 2, minor: 45 },
};

test('the configuration: nothing in /tmp, blocks only where the program has them, secrets in the file alone', () => {
  const text = renderConfig(rendered);
  expect(text).toContain('repo1-path=/b/pgbackrest\n');
  expect(text).toContain('lock-path=/state/pgbackrest/lock\n');
  expect(text).toContain('[main]\npg1-path=/data\npg1-socket-path=/run\npg1-port=5433\npg1-user=postgres\n');
  expect(text).not.toMatch(/\/tmp|repo1-block|cipher/);
  expect(renderConfig({ ...rendered, version: { major: 2, minor: 46 } })).toContain('repo1-block=y\n');
  const s3 = parse(configSchema, {
    pgbackrest: {
      cipherPass: { env: 'C' },
      repository: {
        type: 's3',
        bucket: 'b',
        endpoint: 'https://s3.example.com:9000',
        prefix: 'one/',
        accessKeyId: { env: 'A' },
        secretAccessKey: { file: '/s' },
      },
    },
  }).pgbackrest;
  const secrets = { accessKeyId: new Secret('id'), secretAccessKey: new Secret('key'), cipherPass: new Secret('pass') };
  const bucket = renderConfig({ ...rendered, settings: s3, secrets });
  for (const line of [
    'repo1-type=s3',
    'repo1-path=/one',
    'repo1-s3-endpoint=s3.example.com',
    'repo1-storage-port=9000',
    'repo1-s3-uri-style=path',
    'repo1-s3-key=id',
    'repo1-s3-key-secret=key',
    'repo1-cipher-type=aes-256-cbc',
    'repo1-cipher-pass=pass',
  ])
    expect(bucket).toContain(`${line}\n`);
  expect(() => renderConfig({ ...rendered, secrets: { cipherPass: new Secret('a\npg1-user=mallory') } })).toThrow(/not one line/);
});

test('settings that pgBackRest has no use for are refused, each by its row', () => {
  const engine = { backup: { engine: 'pgbackrest' as const } };
  expect(safeParse(configSchema, engine).success).toBe(true);
  const inputs: Record<string, object> = {
    'wal.mode': { ...engine, wal: { mode: 'tail' } },
    'wal.synchronous': { ...engine, wal: { synchronous: true } },
    'backup.rateLimit': { backup: { ...engine.backup, rateLimit: '50MB' } },
    'services.patroni': { ...engine, services: { patroni: { config: '/etc/patroni.yml' } } },
  };
  expect(engineRules.map(({ path }) => path.join('.')).sort()).toEqual(Object.keys(inputs).sort());
  for (const [path, input] of Object.entries(inputs)) {
    const { issues = [] } = safeParse(configSchema, input);
    expect(issues.map((issue) => issue.path?.map(({ key }) => key).join('.'))).toEqual([path]);
  }
  const http = {
    pgbackrest: { repository: { type: 's3', bucket: 'b', endpoint: 'http://x', accessKeyId: { env: 'A' }, secretAccessKey: { env: 'B' } } },
  };
  expect(safeParse(configSchema, http).success).toBe(false);
});

const prepared = { program: '/usr/bin/pgbackrest', version: { major: 2, minor: 45 }, places: placesIn("/it's 100%"), stanza: 'main' };

test('commands of the server: per cent signs and quotes of paths are its own, and an archive that fails ends no recovery', () => {
  expect(archiveSettings(prepared)['archive_command']).toBe(
    `/usr/bin/pgbackrest '--config=/it'\\''s 100%%/pgbackrest/pgbackrest.conf' --stanza=main archive-push "%p"`,
  );
  const text = recoverySettings({ point: undefined, timeline: undefined, command: `a 'b' \\c` });
  expect(text).toContain(`restore_command = 'a ''b'' \\\\c'\n`);
  expect(text).toContain(`recovery_target = 'immediate'\n`);
  expect(text).toContain(`recovery_target_timeline = 'current'\n`);
});

test('one target, behind those that are emptied', () => {
  const of = (to: PointRequest['to'], value: string) =>
    recoverySettings({ point: { to, value, exclusive: false, timeline: undefined }, timeline: 2, command: 'c' });
  expect(of('time', '1795950000123456')).toMatch(/recovery_target_xid = ''\nrecovery_target_time = '2026-11-29 11:00:00\.123456\+00'\n/);
  expect(of('lsn', '0/5000000')).toMatch(/recovery_target_lsn = '0\/5000000'\nrecovery_target_inclusive = 'on'/);
  expect(of('name', "it's")).toContain(`recovery_target_name = 'it''s'\n`);
  expect(of('latest', '').match(/recovery_target\w* = '[^']+'/g)).toEqual([
    "recovery_target_timeline = '2'",
    "recovery_target_inclusive = 'on'",
    "recovery_target_action = 'promote'",
  ]);
});

test('verify of 2.45: its words count, its status says nothing', () => {
  const said = `stanza: main
status: error
  archiveId: 15-1, total WAL checked: 4, total valid WAL: 4
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261129-110408F, status: invalid, total files checked: 965, total valid files: 964
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
  backup: 20261129-110408F_20261129-110414I, status: valid, total files checked: 966, total valid files: 966
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0`;
  expect([...parseVerify(said)]).toEqual([
    ['20261129-110408F', 'pgBackRest says invalid: checksum invalid: 1'],
    ['20261129-110408F_20261129-110414I', null],
  ]);
  expect(() => parseVerify('hello')).toThrow(/not understood/);
});

test('each exit status and each word of the system is a failure of its own', () => {
  for (const { statuses: all, code, hint } of statuses)
    for (const status of all) expect(failureOf('backup', status, 'ERROR: [0]: words'), String(status)).toMatchObject({ code, hint });
  expect(new Set(statuses.flatMap((row) => row.statuses)).size).toBe(statuses.flatMap((row) => row.statuses).length);
  for (const { code } of statuses) expect(failures).toHaveProperty([code]);
  expect(failureOf('restore', 29, 'ERROR: [029]: raised from local-1 protocol: zst error: [-20] Data corruption detected').code).toBe(
    'data.corrupt',
  );
  expect(failureOf('backup', 64, 'ERROR: [064]: unable to write: [28] No space left on device').code).toBe('volume.full');
  expect(failureOf('backup', 125, 'ERROR: [125]: who knows').code).toBe('tool.failed');
  const said =
    '2026-11-29 11:04:55.943 P00   WARN: option\n2026-11-29 11:04:56.584 P00  ERROR: [050]: unable to acquire lock on file\n  HINT: is another pgBackRest process running?';
  expect(complaintIn(said)).toBe('unable to acquire lock on file; HINT: is another pgBackRest process running?');
});

test('a stanza of somebody else’s cluster is never taken', () => {
  expect(stanzaStep({ own: '1', clusters: [], sentBefore: undefined })).toBe('create');
  expect(stanzaStep({ own: '1', clusters: ['1'], sentBefore: undefined })).toBe('use');
  expect(stanzaStep({ own: '2', clusters: ['1'], sentBefore: '1' })).toBe('upgrade');
  expect(stanzaStep({ own: '1', clusters: ['1', '2'], sentBefore: undefined })).toBe('upgrade');
  expect(stanzaStep({ own: '2', clusters: ['1'], sentBefore: undefined })).toBe('refuse');
  expect(stanzaStep({ own: '2', clusters: ['1'], sentBefore: '3' })).toBe('refuse');
});

test('a full one now and then, so that an increment can expire', () => {
  const options = { full: false, fullEvery: 0, between: 'incr' as const };
  const chain = (length: number) => [full, ...Array.from({ length: length - 1 }, () => incr)];
  expect(typeOf([], options)).toBe('full');
  expect(typeOf(chain(1), options)).toBe('incr');
  expect(typeOf(chain(6), options)).toBe('incr');
  expect(typeOf(chain(7), options)).toBe('full');
  expect(typeOf(chain(2), { ...options, fullEvery: 2 })).toBe('full');
  expect(typeOf(chain(1), { ...options, between: 'diff' })).toBe('diff');
  expect(typeOf(chain(1), { ...options, full: true })).toBe('full');
  expect(typeOf([{ ...full, hasDamagedPages: true }], options)).toBe('full');
});

/** A full one on each day, with an increment behind it. */
const weeks = (days: number): RestBackup[] =>
  Array.from({ length: days }, (_, day) => {
    const date = `202611${String(day + 1).padStart(2, '0')}`;
    const first = { ...full, set: `${date}-020000F`, label: `data_${date}_020000`, annotations: {} };
    const second = { ...incr, set: `${date}-020000F_${date}-140000I`, label: `data_${date}_140000`, needs: [first.set], annotations: {} };
    return [first, second];
  }).flat();

test('retention: what a kept backup needs is kept, what goes needs nothing that stays, and WAL goes with the last full one that counts', () => {
  const all = weeks(4);
  const plan = planRestRetention(all, { last: 3 });
  expect(plan.decisions.map(({ label, keep, reason }) => `${label} ${keep ? reason : 'goes'}`)).toEqual([
    'data_20261104_140000 newest-good',
    'data_20261104_020000 one-of-the-newest',
    'data_20261103_140000 one-of-the-newest',
    'data_20261103_020000 needed-by-another',
    'data_20261102_140000 goes',
    'data_20261102_020000 goes',
    'data_20261101_140000 goes',
    'data_20261101_020000 goes',
  ]);
  expect(plan.expire.map(({ label }) => label)).toEqual([
    'data_20261102_140000',
    'data_20261102_020000',
    'data_20261101_140000',
    'data_20261101_020000',
  ]);
  expect(plan.fullsWithWal).toBe(2);
  const pinned = all.map((one, index) => (index === 0 ? { ...one, annotations: { 'dbkit-pinned': 'yes' } } : one));
  const withPin = planRestRetention(pinned, { last: 3 });
  expect(withPin.expire.map(({ label }) => label)).not.toContain('data_20261101_020000');
  expect(withPin.fullsWithWal, 'a pinned one keeps its own WAL only').toBe(2);
});

test('points: the newest good backup that ended before the moment, and every row of the table', () => {
  const line = { timeline: 1, history: [], info, own: info.backups };
  const request = (to: PointRequest['to'], value: string): PointRequest => ({ to, value, exclusive: false, timeline: undefined });
  const micros = (text: string) => (BigInt(Date.parse(text)) * 1000n).toString();
  const at = (to: PointRequest['to'], value: string, label?: string) => choose(line, request(to, value), label).plan;
  expect(at('time', micros('2026-11-29T11:04:18Z'))).toMatchObject({ label: incr.label, reason: 'rest-point-in-the-wal', timeline: 1 });
  expect(at('time', micros('2026-11-29T11:04:17.5Z')).label, 'its end is known to the second').toBe(full.label);
  expect(at('time', micros('2027-01-01T00:00:00Z')).label).toBe(diff.label);
  expect(at('lsn', '0/5000000').label).toBe(incr.label);
  expect(at('latest', '')).toMatchObject({ label: diff.label, reason: 'rest-point-is-the-end', until: null });
  expect(at('xid', '777', full.label).label).toBe(full.label);
  expect(() => at('xid', '777')).toThrow(/only the WAL tells/);
  expect(() => at('time', micros('2026-11-29T11:04:00Z'))).toThrow(/before the end of every backup/);
  expect(() => choose({ ...line, timeline: 2 }, request('latest', ''), undefined)).toThrow(/no good backup leads/);
  const fork = { timeline: 1, switchLsn: 0x4500000n, reason: '' };
  expect(choose({ ...line, timeline: 2, history: [fork] }, request('latest', ''), undefined).plan).toMatchObject({
    label: incr.label,
    timeline: 2,
  });
});

test.each([
  [{ to: 'time', isNamed: false, onTheWay: 0, before: 0 }, 'rest-point-without-backup'],
  [{ to: 'xid', isNamed: false, onTheWay: 2, before: 2 }, 'rest-point-needs-a-backup'],
  [{ to: 'name', isNamed: false, onTheWay: 1, before: 1 }, 'rest-point-in-the-wal'],
  [{ to: 'time', isNamed: true, onTheWay: 2, before: 0 }, 'rest-point-before-backups'],
  [{ to: 'latest', isNamed: false, onTheWay: 3, before: 3 }, 'rest-point-is-the-end'],
] as const)('a moment with %o is decided by the row %s', (facts, id) => {
  expect(decide(restPointRows, facts).id).toBe(id);
});

test('every verb that this engine does not have says what to type instead', () => {
  expect(new Set(refusedVerbs.map(({ id }) => id)).size).toBe(refusedVerbs.length);
  for (const { refusal } of refusedVerbs) expect(refusal.hint).toMatch(/`|--/);
});
