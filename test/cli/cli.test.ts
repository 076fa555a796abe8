import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { parse } from 'yaml';
import type { Parts } from '../../src/cli/parts.ts';
import { layerConfig } from '../../src/config/layers.ts';
import type { ServiceStatus, SupervisorStatus } from '../../src/control/status.ts';
import type { InspectionReport } from '../../src/inspection/report.ts';
import type { Instance } from '../../src/instance/contract.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { told } from '../../src/recovery/losses.ts';
import type { RecoveryReport } from '../../src/recovery/report.ts';
import { inProcess } from '../harness/in-process.ts';

const commands = [
  ...['entrypoint', 'up', 'down', 'restart', 'status', 'inspect', 'recover', 'services', 'completion', 'config', 'maintenance', 'backup'],
  ...['monitor', 'alert', 'alert setup', 'alert test', 'k8s', 'k8s render', 'manual'],
  ...['health', 'doctor', 'hooks', ...['install', 'uninstall', 'run'].map((verb) => `hooks ${verb}`)],
  ...['show', 'check', 'init', 'schema', 'trust'].map((verb) => `config ${verb}`),
  ...['init', 'init devcontainer'],
  ...['snapshot', ...['save', 'list', 'restore', 'delete'].map((verb) => `snapshot ${verb}`)],
  ...['create', 'list', 'show', 'verify', 'cleanup', 'pin', 'restore', 'undo', 'open', 'drill'].map((verb) => `backup ${verb}`),
  ...['status', 'health', 'backup', 'list-backups', 'restart', 'cleanup'].map((verb) => `maintenance ${verb}`),
];

test.each(['', ...commands])('`dbkit %s --help` goes to stdout with statuses and examples, and touches nothing', async (command) => {
  const { status, out, error, opened } = await inProcess([...command.split(' ').filter(Boolean), '--help']);
  expect({ status, error, opened }).toEqual({ status: 0, error: '', opened: [] });
  expect(out).toMatch(/^Usage: dbkit/);
  expect(out).toContain('Exit status:');
  expect(out).toMatch(/Examples?:\n {2}/);
});

test.each(['--version', '-V'])('%s prints the version alone', async (flag) => {
  expect(await inProcess([flag])).toEqual({ status: 0, out: '1.2.3\n', error: '', opened: [] });
});

test.each([
  [['statsu'], /unknown command 'statsu'\nHINT: did you mean `dbkit status`/],
  [['status', '--wiat'], /unknown option '--wiat'\n\(Did you mean --wait\?\)/],
  [['config', 'shwo'], /Did you mean show\?/],
  [['recover', '--strategy', 'pray'], /Allowed choices are repair, restore, reinitialize/],
  [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  [['completion'], /missing required argument 'shell'/],
  [['status', '--port', '70000'], /a port is a number from 1 to 65535/],
  [['status', 'surplus'], /too many arguments/],
  [['config'], /Usage: dbkit config/],
])('wrong usage %j ends with 2, explained on stderr', async (argv, explanation) => {
  const { status, out, error, opened } = await inProcess(argv);
  expect({ status, out, opened }).toEqual({ status: 2, out: '', opened: [] });
  expect(error).toMatch(explanation);
  const document = JSON.parse((await inProcess([...argv, '--json'])).out) as object;
  expect(document).toMatchObject({ ok: false, failure: { code: 'usage.invalid', retryable: false, changed: false } });
});

test('the document of a wrong command line names the command it was meant for', async () => {
  const { out } = await inProcess(['--config', 'x', 'config', 'show', '--orgin', '--json']);
  expect(JSON.parse(out)).toMatchObject({ schema: 'dbkit.config-show/v1', failure: { message: expect.stringContaining('--orgin') } });
});

test('flags of the whole program work before and behind the command', async () => {
  for (const argv of [
    ['--port', '6000', '--local=/x', 'services'],
    ['services', '--port=6000', '--local', '/x'],
  ]) {
    const { opened } = await inProcess(argv, { app: { services: [], disabled: [], initScripts: [], board: boardOf([]) } });
    expect(opened).toMatchObject([{ port: 6000, local: '/x' }]);
  }
});

test.each<[readonly string[], string]>([
  [['--local', 'services'], '.dbkit'],
  [['--port', '6000', '--local', 'services'], '.dbkit'],
  [['--local', 'shop', 'services'], 'shop'],
  [['--local=services', 'services'], 'services'],
])('%j: --local takes no command for its folder', async (argv, local) => {
  const app = { services: [], disabled: [], initScripts: [], board: boardOf([]) };
  expect(await inProcess(argv, { app })).toMatchObject({ status: 0, opened: [{ local }] });
});

test('a folder that bears the name of a command is one behind the command', async () => {
  const app = { services: [], disabled: [], initScripts: [], board: boardOf([]) };
  expect(await inProcess(['services', '--local', 'backup'], { app })).toMatchObject({ status: 0, opened: [{ local: 'backup' }] });
});

const noHistory: Parts['history'] = { record: async () => undefined, newest: async () => undefined, all: async () => [] };
const boardOf = (services: readonly ServiceStatus[]): Parts['board'] => ({
  publish: async () => undefined,
  setReady: async () => undefined,
  read: async (): Promise<SupervisorStatus> => ({
    schema: 'dbkit.supervisor/v1',
    pid: 7,
    mode: 'entrypoint',
    startedAt: '2026-11-20T19:54:00Z',
    readyAt: null,
    services,
    lastRecovery: null,
  }),
});
const failing = (thrown: unknown): Partial<Parts> => ({ inspect: () => Promise.reject(thrown) });

test('a failure is one document with --json, and its own status', async () => {
  const app = failing(new DbkitError('lock.held', 'the volume is in use', { hint: 'stop the other container' }));
  const { status, out, error } = await inProcess(['inspect', '--json'], { app });
  expect(status).toBe(75);
  expect(error).toBe('dbkit: the volume is in use\nHINT: stop the other container\n');
  expect(JSON.parse(out)).toEqual({
    schema: 'dbkit.inspect/v1',
    ok: false,
    failure: {
      code: 'lock.held',
      message: 'the volume is in use',
      hint: 'stop the other container',
      retryable: true,
      changed: false,
    },
  });
});

test('what nobody foresaw is a bug of dbkit’s: 70, where it happened, and a request to report it', async () => {
  const { status, out, error } = await inProcess(['inspect'], { app: failing(new TypeError('x is not iterable')) });
  expect({ status, out }).toEqual({ status: 70, out: '' });
  expect(error).toMatch(/^dbkit: x is not iterable\n {4}at [\s\S]+HINT: this is a bug in dbkit: please report it/);
});

test('with --log-format json stderr stays one JSON object a line, also for a failure', async () => {
  const app = failing(new DbkitError('volume.full', 'no space', { hint: 'free some' }));
  const { error } = await inProcess(['inspect', '--log-format', 'json'], { app });
  expect(
    error
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object),
  ).toEqual([expect.objectContaining({ level: 'error', event: 'volume.full', message: 'no space', hint: 'free some' })]);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('a command that %s interrupts ends with %d', async (signal, expected) => {
  const inspect = async (_: object, aborted: AbortSignal): Promise<never> => {
    aborted.throwIfAborted();
    throw new Error('not interrupted');
  };
  const app = { inspect };
  const { status, error } = await inProcess(['inspect'], { app, signal });
  expect({ status, error }).toEqual({ status: expected, error: `dbkit: interrupted by ${signal}\n` });
});

const clean: InspectionReport = {
  dataDir: '/data',
  state: 'cluster',
  major: 15,
  systemIdentifier: '7',
  clusterState: 'shut down',
  clean: true,
  inventory: 'match',
  checksums: true,
  findings: [],
  files: 1,
  sizeBytes: 1536,
  deep: null,
  durationMs: 1,
};
const inspecting = (report: InspectionReport): Partial<Parts> => ({ inspect: async () => report });

test('inspect says that nothing is wrong, or shows the evidence and answers 65', async () => {
  expect(await inProcess(['inspect'], { app: inspecting(clean) })).toMatchObject({
    status: 0,
    out: expect.stringContaining('nothing is wrong'),
  });
  const crash = [{ code: 'shutdown.unclean', path: 'global/pg_control', evidence: 'in production', severity: 'info' }] as const;
  const crashed = await inProcess(['inspect'], { app: inspecting({ ...clean, findings: crash }) });
  expect(crashed).toMatchObject({ status: 0, out: expect.stringMatching(/shutdown\.unclean[\s\S]+nothing is wrong\n$/) });
  const findings = [{ code: 'cache.damaged', path: 'global/pg_internal.init', evidence: 'size 0', severity: 'certain' }] as const;
  const damaged = await inProcess(['inspect'], { app: inspecting({ ...clean, findings }) });
  expect(damaged.status).toBe(65);
  expect(damaged.out).toMatch(/certain {2}cache\.damaged {2}global\/pg_internal\.init {2}size 0/);
  expect(damaged.out).toContain('dbkit recover --dry-run');
});

const plan: RecoveryReport = {
  at: '2026-11-20T19:54:00Z',
  findings: [],
  decision: 'reinitialize',
  reason: 'damaged-without-backup',
  because: 'nothing better is possible',
  steps: [{ step: 'quarantine', because: 'nothing is deleted', done: false }],
  quarantine: '/backups/quarantine/corrupt_20261120_195400',
  ...told([{ kind: 'since-backup', label: 'data_20261120_040000', at: '2026-11-20T04:00:00Z', oldBytes: null }]),
  durationMs: 1,
};
const recovering = () => {
  const recover = vi.fn(async ({ dryRun }: { dryRun: boolean }) => ({
    ...plan,
    steps: plan.steps.map((step) => ({ ...step, done: !dryRun })),
  }));
  const control = { ask: async () => undefined, serve: () => Promise.reject(new Error('not here')) };
  const here = { isElsewhere: async () => false, live: async () => undefined, fullness: async () => ({ logs: 0, backups: 0 }) };
  return {
    recover,
    app: { control, history: noHistory, backups: [], recover, expireQuarantined: async () => [], instance: here as unknown as Instance },
  };
};

test('recover --dry-run prints what would be done, what is lost and where the old bytes go, and does none of it', async () => {
  const { recover, app } = recovering();
  const { status, out } = await inProcess(['recover', '--dry-run', '--strategy', 'reinitialize'], { app });
  expect(status).toBe(0);
  for (const said of ['would reinitialize: nothing better is possible', plan.lost, plan.quarantine!, 'quarantine  nothing is deleted'])
    expect(out).toContain(said);
  expect(recover.mock.calls.map(([request]) => request)).toEqual([{ dryRun: true, strategy: 'reinitialize' }]);
});

test.each([
  ['without a terminal', { isTerminal: false }],
  ['in CI', { isTerminal: true, environment: { CI: 'true', NO_COLOR: '1' } }],
])('recover replaces no data %s unless --yes is given', async (_, where) => {
  const { recover, app } = recovering();
  const refused = await inProcess(['recover'], { app, ...where });
  expect(refused.status).toBe(77);
  expect(refused.error).toMatch(/would reinitialize: nothing better is possible[\s\S]+--yes/);
  expect(recover.mock.calls.every(([{ dryRun }]) => dryRun)).toBe(true);
  const done = await inProcess(['recover', '--yes'], { app, ...where });
  expect(done).toMatchObject({ status: 0, out: expect.stringContaining('did reinitialize') });
  expect(recover.mock.calls.at(-1)![0]).toMatchObject({ dryRun: false });
});

const held: ServiceStatus = {
  name: 'postgresql',
  state: 'held',
  pid: null,
  since: '2026-11-20T19:54:00Z',
  restarts: 0,
  note: null,
  recovery: null,
  failure: { code: 'data.version', message: 'the data is of PostgreSQL 13\nmore', hint: 'run `dbkit recover`' },
  details: {},
};
const statusOf = (live: boolean): Partial<Parts> => ({
  board: boardOf([held]),
  history: noHistory,
  backups: [],
  clock: { now: () => new Date('2026-11-20T20:54:00Z'), monotonicMs: () => 0, sleep: async () => undefined },
  control: {
    ask: async ({ command }) => (command === 'status' ? boardOf([held]).read() : {}),
    serve: () => Promise.reject(new Error('not here')),
  },
  instance: {
    live: async () =>
      live
        ? {
            version: '15.3',
            startedAt: '2026-11-20T19:54:00Z',
            inRecovery: false,
            connections: { used: 2, max: 100 },
            databaseSizeBytes: 1024,
          }
        : undefined,
  } as unknown as Instance,
});

test('status shows why a service is held and what to type next', async () => {
  const { status, out } = await inProcess(['status'], { app: statusOf(false) });
  expect(status).toBe(0);
  expect(out).toMatch(/^postgresql +held +for 1 h, the data is of PostgreSQL 13$/m);
  expect(out).toMatch(/HINT: run `dbkit recover`\n$/);
  const still = (text: string): string => text.replace(/\S+ \S+ free/g, 'free'); // Others write to this machine's disks meanwhile.
  expect(still((await inProcess(['maintenance', 'status'], { app: statusOf(false) })).out)).toBe(still(out));
});

test('colour only on a terminal that wants it', async () => {
  const coloured = async (argv: readonly string[], environment = {}, isTerminal = true): Promise<boolean> =>
    (await inProcess(['inspect', ...argv], { app: inspecting(clean), environment, isTerminal })).out.includes('\u001b[');
  expect(await coloured([])).toBe(true);
  expect(await coloured(['--no-color'])).toBe(false);
  expect(await coloured([], { NO_COLOR: '1' })).toBe(false);
  expect(await coloured([], { TERM: 'dumb' })).toBe(false);
  expect(await coloured([], {}, false)).toBe(false);
  expect(await coloured(['--json'])).toBe(false);
});

test('config show prints every setting, its origin when asked, and no secret', async () => {
  const { out } = await inProcess(['config', 'show', '--origin']);
  expect(out).toMatch(/^postgresql\.port +5432 +default$/m);
  expect(out).toMatch(/^postgresql\.password +\[secret\] +default$/m);
  const document = JSON.parse((await inProcess(['config', 'show', '--json'])).out) as { report: { settings: object[] } };
  expect(document.report.settings).toContainEqual({ path: 'postgresql.port', value: 5432, origin: 'default' });
  expect(document.report.settings).toContainEqual({ path: 'postgresql.password', value: '[secret]', origin: 'default' });
});

test('config init writes a file that is valid, also with every line put into force, and never overwrites one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-init-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'dbkit.yaml');
  expect(await inProcess(['config', 'init'], { workingDirectory: folder })).toMatchObject({ status: 0, out: `wrote ${path}\n` });
  const text = await readFile(path, 'utf8');
  expect(parse(text)).toBeNull();
  const inForce = text
    .split('\n')
    .filter((line) => /^# ( *)[a-z]\w*:/i.test(line))
    .map((line) => line.slice(2))
    .join('\n');
  expect(layerConfig({ file: { path, value: parse(inForce) }, environment: [], flags: [] }).config.services).toHaveProperty('redis');
  expect((await inProcess(['config', 'init'], { workingDirectory: folder })).status).toBe(73);
  expect(await readFile(path, 'utf8')).toBe(text);
});

test('config schema describes what an editor may offer', async () => {
  const { out } = await inProcess(['config', 'schema']);
  const schema = JSON.parse(out) as { properties: Record<string, { properties?: object }> };
  expect(Object.keys(schema.properties)).toContain('backupDir');
  expect(Object.keys(schema.properties['postgresql']!.properties!)).toContain('dataDir');
});
