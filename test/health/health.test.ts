import { describe, expect, test } from 'vitest';
import type { Parts } from '../../src/cli/parts.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { remember, secondsUntilFull } from '../../src/health/disk-growth.ts';
import { exitOf, judge, worstOf } from '../../src/health/health.ts';
import { entriesOf } from '../../src/health/log-formats.ts';
import { logRows, meaningOf } from '../../src/health/log-messages.ts';
import type { Probe, ProbeResult, ProbeStatus } from '../../src/health/probe.ts';
import { tcpHost } from '../../src/health/probes/sessions.ts';
import { roughly } from '../../src/kernel/units.ts';
import { clock } from '../../src/machine/clock.ts';
import type { Service } from '../../src/supervisor/service.ts';
import { inProcess } from '../harness/in-process.ts';

describe('statuses', () => {
  test.each<[readonly ProbeStatus[], string]>([
    [['ok', 'ok'], 'ok'],
    [['ok', 'warning'], 'warning'],
    [['warning', 'unknown'], 'unknown'],
    [['unknown', 'critical', 'ok'], 'critical'],
    [['ok', 'skipped'], 'ok'],
    [['skipped'], 'unknown'],
    [[], 'unknown'],
  ])('the worst of %j is %s', (statuses, worst) => expect(worstOf(statuses)).toBe(worst));

  test.each([
    ['ok', false, 0],
    ['ok', true, 0],
    ['warning', false, 0],
    ['warning', true, 1],
    ['critical', false, 2],
    ['critical', true, 2],
    ['unknown', false, 3],
    ['unknown', true, 3],
  ] as const)('%s with strict %s answers %i', (status, strict, exit) => expect(exitOf(status, { strict })).toBe(exit));

  test.each([
    [79.9, 'ok'],
    [80, 'warning'],
    [89.9, 'warning'],
    [90, 'critical'],
  ])('%d of 80 and 90 is %s', (value, status) => expect(judge(value, { warning: 80, critical: 90 })).toBe(status));
});

test.each([
  [0, '1 ms'],
  [0.0042, '4 ms'],
  [1.25, '1.3 s'],
  [42.4, '42 s'],
  [400, '6 min'],
  [90_000, '25 h'],
  [1_000_000, '11 d'],
])('%d s are spoken as %s', (seconds, words) => expect(roughly(seconds)).toBe(words));

describe('the trend of a disk', () => {
  const minute = 60_000;
  const growing = (minutes: number): { atMs: number; usedBytes: number }[] =>
    Array.from({ length: minutes / 5 + 1 }, (_, index) => ({ atMs: index * 5 * minute, usedBytes: 1000 + index * 50 }));

  test('a line through the samples says when it will be full', () => {
    expect(secondsUntilFull(growing(60), 600)).toBeCloseTo(3600); // 50 bytes in five minutes.
  });
  test('less than half an hour is no trend', () => expect(secondsUntilFull(growing(25), 600)).toBeUndefined());
  test('a volume that shrinks is never full', () => {
    expect(
      secondsUntilFull(
        growing(60).map((sample, index) => ({ ...sample, usedBytes: 9000 - index })),
        600,
      ),
    ).toBeUndefined();
  });
  test('one sample in five minutes, a day of them, and none from the future', () => {
    const one = remember([], { atMs: 0, usedBytes: 1 });
    expect(remember(one, { atMs: 4 * minute, usedBytes: 2 })).toBe(one);
    expect(remember(one, { atMs: 5 * minute, usedBytes: 2 })).toHaveLength(2);
    expect(remember(one, { atMs: 1500 * minute, usedBytes: 2 })).toEqual([{ atMs: 1500 * minute, usedBytes: 2 }]);
    expect(remember([{ atMs: 99 * minute, usedBytes: 1 }], { atMs: 0, usedBytes: 2 })).toEqual([{ atMs: 0, usedBytes: 2 }]);
  });
});

/** What a log says, as the probe hears it. */
const meaningIn = (text: string, format: Parameters<typeof entriesOf>[1] = 'stderr') => {
  const [meaning] = entriesOf(text, format).flatMap(({ entry }) => meaningOf(entry) ?? []);
  if (meaning) heard.add(meaning.id);
  return meaning;
};
const heard = new Set<string>();

describe('words of the log', () => {
  const prefix = '2026-11-20 19:54:00.123 UTC [42] ';
  test.each([
    ['ERROR:  invalid page in block 3 of relation base/5/16384', 'critical'],
    ['WARNING:  page verification failed, calculated checksum 1 but expected 2', 'critical'],
    ['WARNING:  checksum verification failed in file "./base/1/2", block 0: calculated 1 but expected 2', 'critical'],
    ['LOG:  server process (PID 77) was terminated by signal 11: Segmentation fault', 'critical'],
    ['LOG:  server process (PID 77) was terminated by signal 9: Killed', 'warning'],
    ['LOG:  database system was interrupted while in recovery at 2026-11-20 19:54:00 UTC', 'critical'],
    ['LOG:  aborting startup due to startup process failure', 'critical'],
    ['ERROR:  could not read block 0 in file "base/5/16384": read only 0 of 8192 bytes', 'critical'],
    ['ERROR:  could not write block 7 in file "base/5/16384": Input/output error', 'critical'],
    ['ERROR:  could not extend file "base/5/16384": No space left on device', 'critical'],
    ['PANIC:  could not locate a valid checkpoint record', 'critical'],
  ])('%s', (line, status) => expect(meaningIn(prefix + line)).toMatchObject({ status }));

  test.each([
    'LOG:  database system is ready to accept connections',
    'LOG:  database system was interrupted; last known up at 2026-11-20 19:54:00 UTC',
    "STATEMENT:  SELECT 'invalid page in block 3'",
    'ERROR:  relation "nothing" does not exist',
    '\tinvalid page in block 3 of relation base/5/16384',
  ])('daily business: %s', (line) => expect(meaningIn(prefix + line)).toBeUndefined());

  const shared = 'could not resize shared memory segment "/PostgreSQL.1234" to 2097152 bytes: No space left on device';
  test.each([
    [`ERROR:  ${shared}`, 'warning', 'shared-memory'],
    ['ERROR:  could not open file "base/5/16384": No such file or directory', 'critical', 'data'],
    ['ERROR:  could not open file "pg_xact/0000": No such file or directory', 'critical', 'data'],
    ['ERROR:  could not extend file "base/5/1": No space left on device', 'critical', 'disk'],
    ['PANIC:  something that nobody knows', 'critical', 'process'],
    ['ERROR:  could not access status of transaction 42', 'critical', 'data'],
    ['FATAL:  relation mapping file "base/5/pg_filenode.map" contains invalid data', 'critical', 'data'],
  ])('%s is about what it is about', (line, status, subject) => expect(meaningIn(prefix + line)).toMatchObject({ status, subject }));

  test.each([
    'ERROR:  could not open file "/tmp/nothing.csv" for reading: No such file or directory',
    'ERROR:  could not open directory "nothing": No such file or directory',
  ])('a file of the user’s own: %s', (line) => expect(meaningIn(prefix + line)).toBeUndefined());

  const csv = (severity: string, state: string, message: string): string =>
    `2026-11-20 19:54:00.123 UTC,"app","shop",77,"[local]",1.2,3,"SELECT",2026-11-20 19:53:00 UTC,3/4,0,${severity},${state},"${message}",,,,,,"select, ""x""",,,"psql","client backend",,0`;
  test.each([
    ['csvlog', csv('FEHLER', 'XX001', 'ungültige Seite in Block 2 von Relation ""base/5/16384""'), 'data'],
    ['csvlog', `rest of an entry",,\n${csv('ERROR', 'XX002', 'index ""t_pkey"" contains unexpected zero page\nmore')}`, 'data'],
    ['csvlog', csv('FEHLER', '58P01', 'konnte Datei ""base/5/16384"" nicht öffnen: Datei oder Verzeichnis nicht gefunden'), 'data'],
    ['csvlog', csv('FEHLER', '53100', 'konnte Datei ""base/5/1"" nicht erweitern: kein Speicherplatz mehr'), 'disk'],
    ['csvlog', csv('ERREUR', '53100', 'n’a pas pu redimensionner ""/PostgreSQL.77"" : plus d’espace'), 'shared-memory'],
    ['csvlog', csv('FEHLER', '58030', 'konnte Block 7 in Datei ""base/5/1"" nicht lesen: Eingabe-/Ausgabefehler'), 'disk'],
    ['jsonlog', '{"timestamp":"2026-11-20","error_severity":"ERROR","state_code":"XX001","message":"invalid page in block 2"}', 'data'],
    ['stderr', '2026-11-20 19:54:00 CET [77] XX001 FEHLER:  ungültige Seite in Block 2', 'data'],
    ['stderr', '2026-11-20 19:54:00 CET [77] FEHLER:  ungültige Seite in Block 2 von Relation base/5/16384', 'data'],
    ['stderr', '2026-11-20 19:54:00 MSK [77] ОШИБКА:  некорректная страница в блоке 2 отношения base/5/16384', 'data'],
    ['stderr', '2026-11-20 19:54:00 CST [77] 错误:  关系 "base/5/16384" 中的块 2 存在无效的页', 'data'],
    ['stderr', '2026-11-20 19:54:00 JST [77] ERROR:  リレーションbase/5/16384のブロック2に不正なページ', 'data'],
    ['stderr', '2026-11-20 19:54:00 KST [77] 손상:  x', 'process'],
    ['stderr', '2026-11-20 19:54:00 CET [77] LOG:  Serverprozess (PID 78) wurde von Signal 11 beendet: Speicherzugriffsfehler', 'process'],
    ['stderr', '2026-11-20 19:54:00 CET [77] LOG:  processus serveur (PID 78) a été arrêté par le signal 9 : Killed', 'process'],
    ['stderr', '2026-11-20 19:54:00 JST [77] LOG:  サーバープロセス (PID 78)はシグナル9で終了しました: Killed', 'process'],
    ['csvlog', csv('LOG', '00000', 'სერვერი (PID 78) დასრულდა სიგნალით: 9: Killed'), 'process'],
  ] as const)('%s: %s', (format, text, subject) => expect(meaningIn(text, format)).toMatchObject({ subject }));

  test.each([
    ['csvlog', csv('ERROR', '42P01', 'relation ""base/5"" does not exist')],
    ['csvlog', csv('LOG', '00000', 'checkpoint complete')],
    ['jsonlog', '{"error_severity":"ERROR","state_code":"42P01","message":"relation does not exist"}'],
    ['jsonlog', '{"error_severity":"ERR'],
    ['stderr', '2026-11-20 19:54:00 CET [77] FEHLER:  ungültige Seite'],
    ['stderr', '2026-11-20 19:54:00 CET [77] LOG:  Serverprozess (PID 78) beendete mit Status 9'],
    ['stderr', '2026-11-20 19:54:00 CET [77] LOG:  Serverprozess (PID 78) wurde von Signal 15 beendet: Beendet'],
    ['stderr', "2026-11-20 19:54:00 CET [77] ANWEISUNG:  SELECT 'base/5/16384'"],
    ['stderr', '2026-11-20 19:54:00 CET [77] LOG:  temporäre Datei: Pfad »base/pgsql_tmp/pgsql_tmp77.0«, Größe 8192'],
  ] as const)('%s, daily business: %s', (format, text) => expect(meaningIn(text, format)).toBeUndefined());

  test('every row is heard', () => expect(logRows.map(({ id }) => id).filter((id) => !heard.has(id))).toEqual([]));
});

test.each([
  ['localhost', 'localhost'],
  ['*', 'localhost'],
  ['0.0.0.0, ::', '127.0.0.1'],
  ['10.0.0.7,localhost', '10.0.0.7'],
  ['', undefined],
])('a server that listens on %j is asked at %s', (listenAddresses, host) => expect(tcpHost(listenAddresses)).toBe(host));

/** An application whose one service has these probes. */
function asked(...probes: readonly Partial<Probe>[]): Partial<Parts> {
  const complete = probes.map((probe, index) => ({
    name: `probe-${index}`,
    check: () => Promise.reject(new Error('not asked')),
    ...probe,
  }));
  return { clock, services: [{ name: 'postgresql', probes: complete } as unknown as Service] };
}
const answering = (name: string, result: ProbeResult): Probe => ({ name, check: async () => result });
const ok = answering('connection', { status: 'ok', summary: 'answers' });
const warning = answering('disk', { status: 'warning', summary: '85 % full, <1 GiB | free', hint: 'free "some" space' });
const critical = answering('write', { status: 'critical', summary: 'no commit is possible' });
const skipping = answering('service', { status: 'skipped', summary: 'this user may not look' });

describe.each(['health', 'maintenance health'])('dbkit %s', (name) => {
  const health = (flags: readonly string[], ...probes: readonly Partial<Probe>[]) =>
    inProcess([...name.split(' '), ...flags], { app: asked(...probes) });

  test('says every answer, what to do, and the verdict last', async () => {
    const { status, out } = await health([], ok, warning, critical, skipping);
    expect(status).toBe(2);
    expect(out).toMatch(
      /^ok +connection +answers\nwarning +disk +85 %.*\nCRITICAL +write +no commit.*\n\nskipped service: this user may not look\n/,
    );
    expect(out).toMatch(/\nHINT: disk: free "some" space\n\nnot healthy: 1 critical, 1 warning, 1 ok, 1 skipped \(\d+\.\d\d s\)\n$/);
  });

  test.each([
    [[ok, skipping], [], 0],
    [[ok, warning], [], 0],
    [[ok, warning], ['--strict'], 1],
    [[ok, critical], ['--strict'], 2],
    [[skipping], [], 3],
    [[], [], 3],
  ])('%j %j answers %i', async (probes, flags, exit) => expect(await health(flags, ...probes)).toMatchObject({ status: exit }));

  test('one document of JSON, with the figures', async () => {
    const { status, out } = await health(['--json'], ok, warning);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      report: {
        status: 'warning',
        probes: [
          { service: 'postgresql', name: 'connection', title: 'connection', status: 'ok', summary: 'answers', hint: null, data: null },
          { name: 'disk', status: 'warning', hint: 'free "some" space' },
        ],
      },
    });
  });

  test('only the probes that are named, in either spelling', async () => {
    const probes = [ok, warning, critical];
    expect((await health(['--probe', 'connection', 'disk', '--strict'], ...probes)).status).toBe(1);
    expect((await health(['--probe', 'connection,disk', '--strict'], ...probes)).status).toBe(1);
    const wrong = await health(['--probe', 'connektion'], ...probes);
    expect(wrong.status).toBe(2);
    expect(wrong.error).toMatch(
      /there is no probe 'connektion'; did you mean 'connection'\?\nHINT: the probes are connection, disk, write/,
    );
  });
});

test('a probe that fails, and one that never answers, are unknown, and nobody waits for them', async () => {
  const { status, out } = await inProcess(['health'], {
    app: asked(
      ok,
      { name: 'broken', check: () => Promise.reject(new Error('boom\nstack')) },
      { name: 'hung', timeoutMs: 50, check: () => new Promise(() => undefined) },
    ),
  });
  expect(status).toBe(3);
  expect(out).toMatch(/^UNKNOWN +broken +could not be asked: boom$/m);
  expect(out).toMatch(/^UNKNOWN +hung +no answer within 0\.1 s$/m);
});

test('disabled probes are asked only by name', async () => {
  const { config } = layerConfig({ file: { path: 'x', value: { health: { disabled: ['write'] } } }, environment: [], flags: [] });
  const app = { ...asked(ok, critical), config };
  expect((await inProcess(['health'], { app })).status).toBe(0);
  expect((await inProcess(['health', '--probe', 'write'], { app })).status).toBe(2);
});

test('a check waits for its turn, and gives it back however it ends', async () => {
  const told: string[] = [];
  const locks = {
    turn: async (places: readonly string[]) => {
      told.push(`turn of ${places.length}`);
      return { path: '', fd: 0, guard: 'kernel', release: async () => void told.push('given back') };
    },
  } as Partial<Parts['locks']> as Parts['locks'];
  const asks: Probe = {
    name: 'connection',
    check: async () => {
      told.push('asked');
      return { status: 'ok', summary: '' };
    },
  };
  await inProcess(['health'], { app: { ...asked(asks), locks } });
  expect(told).toEqual(['turn of 4', 'asked', 'given back']);
  await inProcess(['health'], { app: { ...asked(asks), locks, clock: { ...clock, now: () => new Date(Number.NaN) } } });
  expect(told.slice(3)).toEqual(['turn of 4', 'given back']);
});

test('--wait asks again until it is well', async () => {
  let asks = 0;
  const becoming: Probe = {
    name: 'connection',
    check: async () => ({ status: ++asks < 3 ? 'critical' : 'ok', summary: `asked ${asks} times` }),
  };
  const { status, out } = await inProcess(['health', '--wait'], {
    app: { ...asked(becoming), clock: { ...clock, sleep: async () => undefined } },
  });
  expect(status).toBe(0);
  expect(out).toContain('asked 3 times');
  expect((await inProcess(['health', '--wait', '--timeout', '0'], { app: asked(critical) })).status).toBe(2);
});

describe('formats', () => {
  const format = (name: string, ...flags: readonly string[]) =>
    inProcess(['health', '--format', name, ...flags], { app: asked(ok, warning, critical, skipping) });

  test('nagios: one line with figures, then those that are not well; a warning answers 1', async () => {
    const { status, out } = await format('nagios');
    expect(status).toBe(2);
    const [first, ...rest] = out.trimEnd().split('\n');
    expect(first).toMatch(/^DBKIT CRITICAL - write: no commit is possible \| time=\d\.\d{3}s ok=1 warning=1 critical=1 unknown=0$/);
    expect(rest).toEqual(['WARNING disk: 85 % full, <1 GiB / free', 'CRITICAL write: no commit is possible']);
    expect((await inProcess(['health', '--format', 'nagios'], { app: asked(ok, warning) })).status).toBe(1);
  });

  test('prometheus: families with help and type, and nothing about what was skipped', async () => {
    const { out } = await format('prometheus');
    expect(out).toMatch(/^# HELP dbkit_health_status .+\n# TYPE dbkit_health_status gauge\ndbkit_health_status 2$/m);
    expect(out).toContain('dbkit_probe_status{service="postgresql",probe="disk"} 1\n');
    expect(out).not.toContain('probe="service"');
    for (const line of out.trimEnd().split('\n')) expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{[^{}]*\})? [\d.]+)$/);
  });

  test('junit: a case for each probe; warnings fail only with --strict', async () => {
    const { out } = await format('junit');
    expect(out).toContain('<testsuite name="dbkit health" tests="4" failures="1" errors="0" skipped="1"');
    expect(out).toContain('<system-out>warning: 85 % full, &lt;1 GiB | free\nfree &quot;some&quot; space</system-out>');
    expect(out).toContain('<failure message="no commit is possible" type="critical">');
    expect((await format('junit', '--strict')).out).toContain('failures="2"');
  });

  test('--json and --format exclude each other', async () => expect((await format('junit', '--json')).status).toBe(2));
});

test.each([
  [{ disk: { warning: 95 } }, 'health.disk: warning must not be above critical'],
  [{ disk: { warning: 5, critical: 101 } }, 'health.disk.critical'],
  [{ probes: { 'Not a name': { sql: 'SELECT true' } } }, 'is not a probe name'],
  [{ probes: { disk: { sql: 'SELECT true' } } }, 'is the name of one of dbkit’s own probes'],
  [{ probes: { mine: { sql: 'SELECT true', command: ['true'] } } }, 'needs exactly one of sql and command'],
  [{ disabled: ['writes'] }, 'health: disabled names a probe that there is not'],
  [{ latensy: {} }, "did you mean 'latency'?"],
])('the setting %j is refused', (health, words) => {
  expect(() => layerConfig({ file: { path: 'dbkit.yaml', value: { health } }, environment: [], flags: [] })).toThrow(words);
});
