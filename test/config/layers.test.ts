import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { environment } from '../../src/config/environment.ts';
import { type Layers, layerConfig } from '../../src/config/layers.ts';
import { showConfig } from '../../src/config/show.ts';

const load = (layers: Partial<Layers>) => layerConfig({ file: undefined, environment: [], flags: [], ...layers });
const file = (value: unknown): Layers['file'] => ({ path: '/etc/dbkit/dbkit.yaml', value });
const variables = (texts: Record<string, string>): Layers['environment'] =>
  Object.entries(texts).map(([name, text]) => ({ name, text, from: { kind: 'environment', variable: name } }));

/** What `load` refuses, one problem a line. */
function problemsOf(layers: Partial<Layers>): string[] {
  try {
    load(layers);
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'config.invalid' });
    return (thrown as Error).message.split('\n').slice(1);
  }
  throw new Error('the configuration was accepted');
}

test('flags win over the environment, that over the file, that over the defaults; each value knows where it came from', () => {
  const { config, origins } = load({
    file: file({ maxBackups: 3, postgresql: { port: 6000, dataDir: '/file', username: 'filed' } }),
    environment: variables({ PGPORT: '6001', PGDATA: '/environment' }),
    flags: [{ path: 'postgresql.port', value: 6002, flag: '--port' }],
  });
  expect(config).toMatchObject({ maxBackups: 3, stopSeconds: 8, postgresql: { port: 6002, dataDir: '/environment', username: 'filed' } });
  expect(Object.fromEntries(origins)).toEqual({
    maxBackups: { kind: 'file', path: '/etc/dbkit/dbkit.yaml' },
    'postgresql.username': { kind: 'file', path: '/etc/dbkit/dbkit.yaml' },
    'postgresql.dataDir': { kind: 'environment', variable: 'PGDATA' },
    'postgresql.port': { kind: 'flag', flag: '--port' },
  });
});

test('without any layer the defaults are a whole configuration', () => {
  expect(load({}).config.postgresql).toMatchObject({ dataDir: '/var/lib/postgresql-data', port: 5432, username: 'dbuser' });
  expect(load({ file: file(null) }).origins.size).toBe(0); // An empty file.
});

const samples = {
  text: '/sample',
  number: '14',
  list: 'redis, mongodb,',
  flag: 'off',
  members: 'n1=http://10.0.0.1:8008, n2=http://10.0.0.2:8008',
};
const values = {
  text: '/sample',
  number: 14,
  list: ['redis', 'mongodb'],
  flag: false,
  members: { n1: { api: 'http://10.0.0.1:8008' }, n2: { api: 'http://10.0.0.2:8008' } },
};
const picked: Record<string, string> = {
  DBKIT_ON_FAIL: 'hold',
  DBKIT_LISTEN: '127.0.0.1:9879',
  DBKIT_BACKUP_ENGINE: 'pgbackrest',
  DBKIT_BACKUP_SCHEDULE: '0 5 * * *',
  DBKIT_TIER: 'critical',
  DBKIT_WAL: 'off',
  MAX_REPLICATION_LAG: '16MB',
  DBKIT_WAL_MAX_LAG: '2GB',
  PGREQUIREAUTH: 'password,scram-sha-256',
};
test.each(Object.entries(environment))('%s sets %s', (name, [path, as]) => {
  const { config, origins } = load({ environment: variables({ [name]: picked[name] ?? samples[as] }) });
  const value = path.split('.').reduce<unknown>((tree, key) => (tree as Record<string, unknown>)[key], config);
  if (/password/i.test(path)) expect((value as { reveal(): string }).reveal()).toBe('/sample');
  else expect(value).toEqual(picked[name] ?? values[as]);
  expect(origins.get(path)).toEqual({ kind: 'environment', variable: name });
});

test('where two names set one thing, the first of the table wins', () => {
  const both = load({ environment: variables({ DATABASE_NAME: 'mine', POSTGRES_DB: 'official' }) });
  expect(both.config.postgresql.database).toBe('mine');
  expect(load({ environment: variables({ POSTGRES_DB: 'official' }) }).config.postgresql.database).toBe('official');
});

test('a host name in PGHOST is for libpq, not a socket directory', () => {
  const { config, origins } = load({ environment: variables({ PGHOST: 'db.example.org' }) });
  expect(config.postgresql.socketDir).toBe('/var/run/postgresql');
  expect(origins.has('postgresql.socketDir')).toBe(false);
});

test('every problem is reported at once, in plain words, with its origin', () => {
  const yaml = file({
    postgresql: { prot: 5, maxStartupSeconds: 'long' },
    services: { Redis: { comand: ['a'] }, web: { command: ['a'], ready: { tcp: 1, http: 'x' } } },
    recovery: { allow: ['repair', 'all'] },
  });
  const flags = [{ path: 'stateDir', value: 'relative', flag: '--state-dir' }];
  const problems = problemsOf({
    file: yaml,
    environment: variables({ PGPORT: 'abc', MAX_BACKUPS: '0' }),
    flags,
    problems: ['both A and A_FILE are set'],
  });
  const from = '(from file /etc/dbkit/dbkit.yaml)';
  expect(problems.sort()).toEqual(
    [
      'both A and A_FILE are set',
      "postgresql.port: expected a number, got 'abc' (from environment PGPORT)",
      'maxBackups: expected >=1, got 0 (from environment MAX_BACKUPS)',
      'stateDir: must be an absolute path (from flag --state-dir)',
      `postgresql.prot: there is no such setting; did you mean 'port'? ${from}`,
      `postgresql.maxStartupSeconds: expected a number, got "long" ${from}`,
      `services.Redis: is not a service name (a-z, 0-9, -) ${from}`,
      `services.Redis.command: is required ${from}`,
      `services.Redis.comand: there is no such setting; did you mean 'command'? ${from}`,
      `services.web.ready: needs exactly one of tcp, http, command and log, and may have timeoutSeconds ${from}`,
      `recovery.allow.1: expected ("repair" | "restore" | "reinitialize"), got "all" ${from}`,
    ].sort(),
  );
});

test.each([
  ['a list', ['a']],
  ['a text', 'port: 5432'],
])('a file that holds %s is refused', (_, value) => {
  expect(problemsOf({ file: file(value) })).toEqual(['/etc/dbkit/dbkit.yaml: expected a mapping of settings']);
});

test('no message repeats what may be a secret', () => {
  const problems = problemsOf({
    file: file({ postgresql: { password: 4711, superuserPassword: ['4712'] }, services: { a: { command: ['a'], env: { KEY: 4713 } } } }),
    environment: [{ name: 'PGPORT', text: '4714x', from: { kind: 'secret-file', path: '/run/secrets/password', variable: 'PGPORT_FILE' } }],
  });
  expect(problems).toHaveLength(4);
  expect(problems.join()).not.toMatch(/471\d/);
  expect(problems.join()).toContain('postgresql.password: must be a text; put it in quotes');
});

test('keys that JavaScript gives a meaning are unknown settings like any other', () => {
  const hostile = JSON.parse('{"__proto__": {"stateDir": "/x"}, "constructor": {"polluted": 1}}') as unknown;
  expect(() => load({ file: file(hostile) })).toThrow(/constructor: there is no such setting/);
  expect({}).not.toHaveProperty('stateDir');
  expect(Object).not.toHaveProperty('polluted');
});

test.each([
  ['PGPORT', ' 5433 ', 'postgresql.port', 5433],
  ['PGPORT', '5433.5', 'postgresql.port', undefined],
  ['PGPORT', '65536', 'postgresql.port', undefined],
  ['PGPORT', 'Infinity', 'postgresql.port', undefined],
  ['PGPORT', '  ', 'postgresql.port', undefined],
  ['MAX_STARTUP_SECONDS', '0.5', 'postgresql.maxStartupSeconds', 0.5],
  ['DISABLED_SERVICES', ' , ', 'disabledServices', []],
  ['DISABLED_SERVICES', 'mongodb,redis', 'disabledServices', ['mongodb', 'redis']],
  ['DBKIT_BACKUP_AFTER_START', 'YES', 'backup.afterStart', true],
  ['DBKIT_BACKUP_AFTER_START', '0', 'backup.afterStart', false],
  ['DBKIT_BACKUP_AFTER_START', 'perhaps', 'backup.afterStart', undefined],
  ['DBKIT_ON_FAIL', 'explode', 'postgresql.onFail', undefined],
  ['PGDATA', 'relative/data', 'postgresql.dataDir', undefined],
  ['POSTGRES_VERSION', '12', 'postgresql.version', undefined],
])('%s=%j is %s = %j, or refused with its origin', (name, text, path, value) => {
  const layers = { environment: variables({ [name]: text }) };
  if (value === undefined) expect(problemsOf(layers)).toEqual([expect.stringMatching(`^${path}: .*\\(from environment ${name}\\)$`)]);
  else expect(showConfig(load(layers)).settings).toContainEqual({ path, value, origin: `environment ${name}` });
});

test('secrets print nowhere: not as JSON, not in a template, not on the console, not in config show', () => {
  const service = { command: ['a'], env: { API_KEY: 'swordfish', PLAIN: 'visible', MY_PASSWORD: 'swordfish' } };
  const loaded = load({
    file: file({ postgresql: { superuserPassword: 'swordfish' }, services: { web: service } }),
    environment: variables({ DATABASE_PASSWORD: 'swordfish' }),
  });
  const { password, superuserPassword } = loaded.config.postgresql;
  expect(password.reveal()).toBe('swordfish');
  const shown = JSON.stringify(showConfig(loaded));
  const printed = [JSON.stringify(loaded.config.postgresql), `${password} ${superuserPassword}`, inspect(loaded.config.postgresql), shown];
  for (const text of printed) {
    expect(text).not.toContain('swordfish');
    expect(text).toContain('[secret]');
  }
  expect(shown).toContain('visible');
});

test('config show lists every setting once with its origin, and nothing that is not set', () => {
  const { settings } = showConfig(
    load({ file: file({ services: { web: { command: ['a', 'b'] } } }), environment: variables({ PGPORT: '7' }) }),
  );
  const at = (path: string) => settings.filter((setting) => setting.path === path);
  expect(at('postgresql.port')).toEqual([{ path: 'postgresql.port', value: 7, origin: 'environment PGPORT' }]);
  expect(at('services.web.command')).toEqual([{ path: 'services.web.command', value: ['a', 'b'], origin: 'file /etc/dbkit/dbkit.yaml' }]);
  expect(at('services.web.restart.max')).toEqual([{ path: 'services.web.restart.max', value: 5, origin: 'default' }]);
  expect(at('postgresql.binDir')).toEqual([]);
});
