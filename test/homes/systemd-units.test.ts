import { expect, test } from 'vitest';
import { layerConfig } from '../../src/config/layers.ts';
import { renderEnvironment, unitEnvironment } from '../../src/homes/systemd/environment.ts';
import { OWN_SERVER_UNIT, renderUnits, toEnable, type UnitPlan, unitNames } from '../../src/homes/systemd/units.ts';

const plan: UnitPlan = {
  program: ['/usr/bin/node', '/usr/lib/node_modules/dbkit/bin/dbkit.js'],
  user: 'postgres',
  serverUnit: 'postgresql@15-main.service',
  environmentFile: '/etc/dbkit/dbkit.env',
  socketDir: '/var/run/postgresql',
  notes: ['/var/lib/dbkit'],
  writable: ['/var/lib/postgresql/15/main', '/var/lib/postgresql-backup'],
  intervalSeconds: 30,
  stopSeconds: 8,
  receivesWal: true,
  backupAt: 'hourly',
  verifyAt: 'Sun 04:30',
  drill: undefined,
};
const unit = (name: string, changes: Partial<UnitPlan> = {}): readonly string[] =>
  renderUnits({ ...plan, ...changes })
    .find((each) => each.name === name)!
    .text.split('\n');

test('a check may write nothing but its notes, and hands a due recovery to the unit that may', () => {
  const lines = unit('dbkit-health.service');
  expect(lines).toEqual(
    expect.arrayContaining([
      'OnFailure=dbkit-recovery.service',
      'ExecStart=/usr/bin/node /usr/lib/node_modules/dbkit/bin/dbkit.js monitor --once --no-recover',
      'SuccessExitStatus=2 75',
      'User=postgres',
      'CapabilityBoundingSet=',
      'ReadWritePaths=-/var/lib/dbkit',
    ]),
  );
  expect(unit('dbkit-health.timer')).toContain('OnUnitActiveSec=30s');
});

test('the recovery names the server’s unit in no dependency, so that it may stop and start it', () => {
  const lines = unit('dbkit-recovery.service');
  expect(lines).toContain('Environment=DBKIT_UNIT=postgresql@15-main.service');
  expect(lines.filter((line) => /^(Conflicts|Requires|Wants|BindsTo|PartOf|After|Before|User)=/.test(line))).toEqual([]);
});

test('nothing that kills Node, or takes PostgreSQL’s shared memory', () => {
  for (const { name, text } of renderUnits({ ...plan, serverUnit: OWN_SERVER_UNIT })) {
    expect(text, name).not.toMatch(/MemoryDenyWriteExecute|RemoveIPC/);
  }
});

test('a PGDATA that no unit runs gets one of its own', () => {
  const own = { ...plan, serverUnit: OWN_SERVER_UNIT };
  expect(renderUnits(own).map(({ name }) => name)).toEqual(unitNames.filter((name) => !/^dbkit-(wal|drill)\./.test(name)));
  expect(renderUnits(plan).map(({ name }) => name)).not.toContain(OWN_SERVER_UNIT);
  expect(toEnable(own)).toEqual([OWN_SERVER_UNIT, 'dbkit-health.timer', 'dbkit-backup.timer', 'dbkit-verify.timer']);
  expect(unit(OWN_SERVER_UNIT, own)).toEqual(expect.arrayContaining(['Type=notify', 'TimeoutStopSec=13s', 'RuntimeDirectory=postgresql']));
});

test('a disaster is rehearsed by a timer where somebody wants it, and by none else', () => {
  const drilled = { ...plan, drill: { at: 'monthly', words: 'ha drill leader-node --quiet' } };
  expect(toEnable(drilled)).toContain('dbkit-drill.timer');
  expect(toEnable(plan)).not.toContain('dbkit-drill.timer');
  expect(unit('dbkit-drill.timer', drilled)).toContain('OnCalendar=monthly');
  expect(unit('dbkit-drill.service', drilled)).toEqual(
    expect.arrayContaining([
      'ExecStart=/usr/bin/node /usr/lib/node_modules/dbkit/bin/dbkit.js ha drill leader-node --quiet',
      'User=postgres',
      'TimeoutStartSec=infinity',
    ]),
  );
});

test('the WAL of a server that another unit runs is received where the configuration wants it kept', () => {
  expect(unit('dbkit-wal.service')).toEqual(
    expect.arrayContaining([
      'ExecStart=/usr/bin/node /usr/lib/node_modules/dbkit/bin/dbkit.js wal receive --quiet',
      'Restart=always',
      'User=postgres',
      'After=postgresql@15-main.service',
      'WantedBy=multi-user.target',
    ]),
  );
  expect(toEnable(plan)).toContain('dbkit-wal.service');
  const without = { ...plan, receivesWal: false };
  expect(renderUnits(without).map(({ name }) => name)).not.toContain('dbkit-wal.service');
  expect(toEnable(without)).not.toContain('dbkit-wal.service');
});

test('homes and /tmp stay visible where the program, the data or the socket are there', () => {
  expect(unit('dbkit-backup.service')).toEqual(expect.arrayContaining(['ProtectHome=yes', 'PrivateTmp=yes']));
  expect(unit('dbkit-backup.service', { program: ['/home/me/.nvm/node', '/srv/dbkit.js'] })).not.toContain('ProtectHome=yes');
  expect(unit('dbkit-backup.service', { socketDir: '/tmp' })).not.toContain('PrivateTmp=yes');
});

test('paths with blanks, quotes, percent and dollar signs reach systemd as they are', () => {
  const program = ['/opt/my node/node', '/opt/100%/a"b$c/dbkit.js'];
  expect(unit('dbkit-verify.service', { program }).find((line) => line.startsWith('ExecStart'))).toBe(
    'ExecStart="/opt/my node/node" "/opt/100%%/a\\"b$$c/dbkit.js" backup verify --all',
  );
});

test('the environment is what flags and variables said, and where the file is', () => {
  const { config, origins } = layerConfig({
    file: { path: '/srv/dbkit.yaml', value: { postgresql: { port: 5433 }, maxBackups: 3 } },
    environment: [
      { name: 'DATABASE_PASSWORD', text: 'a"$b', from: { kind: 'secret-file', path: '/run/secret', variable: 'DATABASE_PASSWORD_FILE' } },
      { name: 'DISABLED_SERVICES', text: 'mongodb,redis', from: { kind: 'environment', variable: 'DISABLED_SERVICES' } },
    ],
    flags: [{ path: 'postgresql.dataDir', value: '/var/lib/postgresql/15/main', flag: '--cluster' }],
  });
  const variables = unitEnvironment(config, origins);
  expect(Object.fromEntries(variables)).toEqual({
    DBKIT_CONFIG: '/srv/dbkit.yaml',
    PGDATA: '/var/lib/postgresql/15/main',
    DATABASE_PASSWORD: 'a"$b',
    DISABLED_SERVICES: 'mongodb,redis',
  });
  expect(renderEnvironment(variables).split('\n')).toEqual(
    expect.arrayContaining(['PGDATA=/var/lib/postgresql/15/main', 'DATABASE_PASSWORD="a\\"\\$b"']),
  );
});
