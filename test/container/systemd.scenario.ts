import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attempt, inside, installDbkit, missingLab, shell } from './lab.ts';

const missing = missingLab();
if (missing) process.stderr.write(`systemd: skipped, as ${missing}\n`);

const CLUSTER = 'dbkittest';
const PORT = 25_999;
const INTERVAL_S = 2;
const WATCHDOG_S = 2;
const HOOK = '/run/dbkit-hook.jsonl';
const DIARY = '/var/log/postgresql/dbkittest-alerts.jsonl';
let version = '';
const data = (): string => `/var/lib/postgresql/${version}/${CLUSTER}`;
const server = (): string => `postgresql@${version}-${CLUSTER}.service`;

const settings = (maxRecoveries: number): string => `
monitor: { intervalSeconds: ${INTERVAL_S}, maxFailures: 3, cooldownSeconds: 6, maxRecoveries: ${maxRecoveries} }
health: { timeoutSeconds: 2, disabled: [authentication, backups] }
alerts:
  channels:
    diary: { type: file, path: ${DIARY}, severities: [INFO, SUCCESS, WARNING, ERROR, CRITICAL] }
    hook: { type: webhook, url: { file: /etc/dbkit/hook } }
`;
const receiver = `require('http').createServer((q,r)=>{let b='';q.on('data',d=>b+=d);q.on('end',()=>{require('fs').appendFileSync('${HOOK}',b+'\\n');r.end()})}).listen(9099,'127.0.0.1')`;

async function until<T>(what: string, look: () => Promise<T | undefined | false>, patienceS = 60): Promise<T> {
  const deadline = Date.now() + patienceS * 1000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > deadline)
      throw new Error(
        `waited ${patienceS} s for: ${what}\n${(await attempt('journalctl', '-u', 'dbkit-*', '-n', '60', '--no-pager')).out}`,
      );
    await sleep(200);
  }
}
const sql = (query: string, port = PORT): Promise<string> =>
  inside('runuser', '-u', 'postgres', '--', 'psql', '-p', String(port), '-AtXc', query, 'postgres');
const answers = async (port = PORT): Promise<boolean> => (await attempt('pg_isready', '-q', '-p', String(port))).code === 0;
/** Titles of what a channel was told since the last `forget`. */
const told = async (path = HOOK): Promise<string[]> =>
  (await attempt('cat', path)).out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { severity: string; title: string })
    .map(({ severity, title }) => `${severity}: ${title}`);
const forget = (): Promise<string> => shell(`rm -f ${HOOK} ${DIARY} /var/lib/dbkit/monitor.json /var/lib/dbkit/alerts.json`);
const RECOVERED = ['ERROR: the server failed', 'WARNING: a recovery is under way', 'SUCCESS: the server was recovered'];
/** Until the server answers and the recovery has told so. */
const recovered = (): Promise<unknown> =>
  until('a recovery that is told', async () => (await answers()) && (await told()).includes(RECOVERED[1]!));
const history = async (): Promise<string> => inside('dbkit', '--cluster', `${version}/${CLUSTER}`, 'monitor', 'status');

async function cleanUp(): Promise<void> {
  await attempt('dbkit', 'systemd', 'uninstall');
  for (const each of ['dbkit-hook', 'dbkit-watch']) await attempt('systemctl', 'stop', each);
  await attempt('systemctl', 'reset-failed');
  if (version !== '') await attempt('pg_dropcluster', '--stop', version, CLUSTER);
  await shell(`rm -rf /etc/dbkit /var/lib/dbkit /var/lib/postgresql-backup /srv/dbkittest ${HOOK} ${DIARY}`);
}

describe.skipIf(missing !== undefined)('units of systemd', () => {
  beforeAll(async () => {
    version = await shell('ls /usr/lib/postgresql | sort -n | tail -n 1');
    await installDbkit();
    await cleanUp();
    await inside('pg_createcluster', version, CLUSTER, '--port', String(PORT), '--', '--data-checksums');
    await inside('systemctl', 'start', server());
    await sql('CREATE TABLE ledger AS SELECT g AS id FROM generate_series(1, 1000) g');
    await shell(
      `mkdir -p /etc/dbkit; printf 'http://127.0.0.1:9099/' >/etc/dbkit/hook; cat >/etc/dbkit/dbkit.yaml <<'YAML'\n${settings(5)}\nYAML`,
    );
    await inside('systemd-run', '--quiet', '--unit=dbkit-hook', '/usr/local/bin/node', '-e', receiver);
  });
  afterAll(cleanUp);

  test('install writes units that systemd accepts, a closed environment file, and starts the timers', async () => {
    await inside('dbkit', '--cluster', `${version}/${CLUSTER}`, 'systemd', 'install');
    expect((await attempt('sh', '-c', 'systemd-analyze verify /etc/systemd/system/dbkit-* 2>&1')).out).toBe('');
    expect(await shell('stat -c %a /etc/dbkit/dbkit.env')).toBe('600');
    expect(await shell('systemctl is-active dbkit-health.timer dbkit-backup.timer dbkit-verify.timer')).toBe('active\nactive\nactive');
    const figures = { health: 1.5, backup: 1.5, verify: 1.5, recovery: 3.3 };
    for (const [name, most] of Object.entries(figures)) {
      const said = await inside('systemd-analyze', 'security', `dbkit-${name}.service`, '--no-pager');
      expect(Number(/level for .*: ([\d.]+)/.exec(said)?.[1]), name).toBeLessThanOrEqual(most);
    }
    await until('a check that finds all well', async () => (await history()).includes('all is well'));
    expect((await attempt('systemctl', 'is-failed', 'dbkit-health.service')).out.trim()).not.toBe('failed');
  });

  test('a server that was stopped is started through its own unit after the third failure, and people are told', async () => {
    await forget();
    const begun = Date.now();
    await inside('systemctl', 'stop', server());
    await recovered();
    process.stderr.write(`stopped: recovered ${((Date.now() - begun) / 1000).toFixed(1)} s later, checks every ${INTERVAL_S} s\n`);
    expect((await told()).slice(0, 2)).toEqual(RECOVERED);
    expect((await told(DIARY)).slice(0, 2), 'the other channel').toEqual(RECOVERED);
    expect((await attempt('cat', HOOK)).out, 'what to type next').toContain(`systemctl start ${server()}`);
    expect(await inside('systemctl', 'is-active', server())).toBe('active');
    expect(await history()).toMatch(/failed check 1,[\s\S]*failed check 2,[\s\S]*recovering[\s\S]*recovered in/);
    expect(await sql('SELECT count(*) FROM ledger')).toBe('1000');
  });

  test('the backup unit takes a backup, the verify unit reads it again', async () => {
    for (const name of ['dbkit-backup.service', 'dbkit-verify.service']) await inside('systemctl', 'start', name);
    const { report } = JSON.parse(await inside('dbkit', '--cluster', `${version}/${CLUSTER}`, 'backup', 'list', '--json')) as {
      report: { backups: { state: string }[] };
    };
    expect(report.backups.map(({ state }) => state)).toEqual(['verified']);
  });

  test('a broken file is restored from the backup with every row, and Debian’s configuration stays', async () => {
    await sql('INSERT INTO ledger SELECT g FROM generate_series(1001, 1500) g');
    await forget();
    await inside('systemctl', 'stop', server());
    await shell(`head -c 8192 /dev/urandom >${data()}/global/pg_control`);
    await recovered();
    expect((await told()).slice(0, 2)).toEqual(RECOVERED);
    expect(await sql('SELECT count(*) FROM ledger')).toBe('1500');
    expect(await shell('ls /var/lib/postgresql-backup/quarantine')).toMatch(/^corrupt_\d{8}_\d{6}$/);
    expect((await attempt('test', '-e', `${data()}/postgresql.conf`)).code, 'no configuration in PGDATA').toBe(1);
  });

  test('a server that is damaged while it runs is stopped, mended and started', async () => {
    await forget();
    await shell(`rm ${data()}/global/pg_filenode.map`);
    await recovered();
    expect((await told()).slice(0, 2)).toEqual(RECOVERED);
    expect(await sql('SELECT count(*) FROM ledger')).toBe('1500');
  });

  test('a server that was stopped by a signal goes on', async () => {
    await forget();
    await shell(`kill -STOP $(head -n 1 ${data()}/postmaster.pid)`);
    await recovered();
    expect(await history()).toMatch(/had been stopped by a signal and go on now/);
  });

  test('after too many recoveries it is CRITICAL and stays stopped, until a person lets it try again', async () => {
    await shell(`cat >/etc/dbkit/dbkit.yaml <<'YAML'\n${settings(1)}\nYAML`);
    await forget();
    await inside('systemctl', 'stop', server());
    await recovered();
    await inside('systemctl', 'stop', server());
    await until('CRITICAL', async () => (await told()).includes('CRITICAL: the server stays down until a person looks'));
    await sleep(INTERVAL_S * 4 * 1000);
    expect(await answers(), 'it stays stopped').toBe(false);
    expect((await told()).filter((title) => title.startsWith('CRITICAL'))).toHaveLength(1);
    await inside('dbkit', '--cluster', `${version}/${CLUSTER}`, 'monitor', 'resume');
    await until('the server', () => answers());
    await shell(`cat >/etc/dbkit/dbkit.yaml <<'YAML'\n${settings(5)}\nYAML`);
  });

  test('a monitor as a service of type notify is ready, says what it sees, and feeds the watchdog', async () => {
    const properties = [
      'Type=notify',
      'NotifyAccess=all',
      `WatchdogSec=${WATCHDOG_S}`,
      'User=postgres',
      'EnvironmentFile=/etc/dbkit/dbkit.env',
    ];
    await inside('systemctl', 'stop', 'dbkit-health.timer');
    const isBusy = async (): Promise<boolean> =>
      (await attempt('systemctl', 'is-active', 'dbkit-health', 'dbkit-recovery')).out.includes('activating');
    await until('the end of the last check', async () => !(await isBusy()));
    const show = async (): Promise<string[]> =>
      (await inside('systemctl', 'show', 'dbkit-watch', '-p', 'ActiveState,StatusText,NRestarts,Result')).split('\n');
    await inside(
      'systemd-run',
      '--quiet',
      '--unit=dbkit-watch',
      ...properties.map((each) => `--property=${each}`),
      '/usr/local/bin/dbkit',
      'monitor',
    );
    await until('its words', async () => (await show()).includes('StatusText=well: all is well'));
    await sleep(WATCHDOG_S * 3 * 1000);
    expect(await show()).toEqual(expect.arrayContaining(['ActiveState=active', 'NRestarts=0', 'Result=success']));
    await shell('kill -STOP $(systemctl show dbkit-watch -P MainPID)');
    await until('the watchdog', async () => (await show()).includes('Result=watchdog'));
  });

  test('uninstall leaves the server, the backups and the environment file', async () => {
    await inside('dbkit', 'systemd', 'uninstall');
    expect(await shell('ls /etc/systemd/system | grep dbkit || true')).toBe('');
    expect(await answers()).toBe(true);
    expect(await shell('ls /etc/dbkit/dbkit.env; ls /var/lib/postgresql-backup | grep -c ^data_.*json')).toBe('/etc/dbkit/dbkit.env\n1');
  });

  test('a plain PGDATA gets a unit of its own, which the recovery starts', async () => {
    await shell('rm -rf /etc/dbkit/dbkit.env /var/lib/dbkit; mkdir -p /srv/dbkittest; chown postgres: /srv/dbkittest');
    await forget();
    const env = ['PGDATA=/srv/dbkittest/data', 'BACKUP_DIR=/srv/dbkittest/backups', 'PGPORT=25998', 'DBKIT_BACKUP_AFTER_START=false'];
    await inside('env', ...env, 'dbkit', 'systemd', 'install');
    await until('the server', () => answers(25_998));
    await until('the unit', async () => (await attempt('systemctl', 'is-active', 'dbkit-postgresql')).out.trim() === 'active');
    await sql('CREATE TABLE plain (a int)', 25_998);
    await inside('systemctl', 'stop', 'dbkit-postgresql');
    expect(await answers(25_998)).toBe(false);
    await until('the server again', () => answers(25_998));
    await until('the alert', async () => (await told()).includes(RECOVERED[1]!));
    expect(await inside('systemctl', 'is-active', 'dbkit-postgresql')).toBe('active');
    expect(await sql('SELECT count(*) FROM plain', 25_998)).toBe('0');
  });
});
