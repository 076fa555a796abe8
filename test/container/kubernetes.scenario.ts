import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { inProcess } from '../harness/in-process.ts';
import { type Manifest, manifestsIn, podOf } from '../harness/manifests.ts';
import { asPod, createPodman, type Ended, findPodman, type Podman, stream } from './pods.ts';

const folder = await mkdtemp(join(tmpdir(), 'dbkit-kube-'));
const program = await findPodman(folder);
const name = `${process.env['DBKIT_LAB_PREFIX'] ?? 'dbkit-'}kube`;
/** One that is built already, for those who only change the story. */
const image = process.env['DBKIT_IMAGE'] ?? `localhost/${name}:test`;
const base = process.env['BASE_IMAGE'] ?? 'docker.io/library/node:22-bookworm';
const PATIENCE_MS = 120_000;
/** Of the ten seconds that the kubelet leaves; an idle machine takes half a second. */
const STOP_MS = 8_000;
const JOBS = ['backup', 'verify', 'cleanup', 'dump', 'drill'] as const;

afterAll(() => rm(folder, { recursive: true, force: true }));

/** One story, told in order: the pod of deploy/kubernetes with its jobs, from the first start to a recovery that somebody hears of. */
describe.skipIf(program === undefined)('the pod', () => {
  const podman: Podman = createPodman(program!);
  let manifests: Manifest[];
  const objects = (kind: string): Manifest[] => manifests.filter((manifest) => manifest.kind === kind);
  const database = (): ReturnType<typeof asPod> => asPod(`${name}-0`, podOf(objects('StatefulSet')[0]!)!);
  const inMonitor = (...command: string[]): Promise<Ended> => podman('exec', `${name}-0-monitor`, ...command);
  const inDatabase = (...command: string[]): Promise<Ended> => podman('exec', `${name}-0-database`, ...command);
  const psql = async (sql: string, user = 'postgres', host = '/var/lib/dbkit/run'): Promise<string> => {
    const password = user === 'postgres' ? 'root of all' : 'open sesame';
    const { code, stdout, stderr } = await podman(
      'exec',
      '--env',
      `PGPASSWORD=${password}`,
      `${name}-0-database`,
      'psql',
      '-h',
      host,
      '-U',
      user,
      '-d',
      'dbuser',
      '-v',
      'ON_ERROR_STOP=1',
      '-qtAc',
      sql,
    );
    if (code !== 0) throw new Error(stderr);
    return stdout.trim();
  };
  /** A job's own pod, as its CronJob would make it: beside the database's, with processes and a network of its own. */
  const runJob = async (job: (typeof JOBS)[number], command?: readonly string[]): Promise<Ended> => {
    const spec = podOf(objects('CronJob').find(({ metadata }) => metadata.name === `${name}-${job}`)!)!;
    const changed = command === undefined ? spec : { ...spec, containers: spec.containers.map((container) => ({ ...container, command })) };
    const pod = `${name}-${job}-1`;
    await writeFile(join(folder, `${job}.yaml`), stream([...objects('ConfigMap'), asPod(pod, changed)]));
    await remove(pod);
    await podman.must('kube', 'play', '--network', 'none', join(folder, `${job}.yaml`));
    const code = Number(await podman.must('wait', `${pod}-${job}-job`));
    const { stdout, stderr } = await podman('logs', `${pod}-${job}-job`);
    await remove(pod);
    return { code, stdout, stderr };
  };
  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await isSo())) {
      if (performance.now() > deadline)
        throw new Error(
          `never: ${what}\n${(await podman('logs', `${name}-0-database`)).stderr}\n${(await podman('logs', `${name}-0-monitor`)).stderr}`,
        );
      await sleep(200);
    }
  };
  const ready = (): Promise<void> =>
    until('ready', async () => (await inDatabase('dbkit', 'status', '--wait', '--timeout', '5', '--quiet')).code === 0);
  const page = async (path: string): Promise<{ status: number; body: string }> => {
    const ask = `fetch('http://127.0.0.1:9187${path}').then(async (r) => console.log(JSON.stringify({ status: r.status, body: await r.text() })))`;
    return JSON.parse((await inMonitor('node', '-e', ask)).stdout) as { status: number; body: string };
  };
  const backups = async (): Promise<{ label: string; engine: string; state: string; note: string }[]> => {
    const { stdout } = await inMonitor('dbkit', 'backup', 'list', '--json');
    return (JSON.parse(stdout) as { report: { backups: { label: string; engine: string; state: string; note: string }[] } }).report.backups;
  };
  const remove = async (pod: string): Promise<void> => {
    await podman('pod', 'rm', '--force', '--time', '0', pod);
    for (const volume of ['tmp', 'state']) await podman('volume', 'rm', '--force', `${pod}-${volume}`);
  };
  const sweep = async (): Promise<void> => {
    for (const pod of [`${name}-0`, ...JOBS.map((job) => `${name}-${job}-1`)]) await remove(pod);
    for (const volume of ['data', 'backups', 'config', 'passwords', 'alerts']) await podman('volume', 'rm', '--force', `${name}-${volume}`);
    for (const secret of ['passwords', 'alerts']) await podman('secret', 'rm', `${name}-${secret}`);
  };
  /** Podman 4.3 hands on the values as they stand in the manifest, without decoding base64. */
  const addSecret = async (secret: string, data: Readonly<Record<string, string>>): Promise<void> => {
    const file = join(folder, `${secret}.yaml`);
    await writeFile(file, stream([{ apiVersion: 'v1', kind: 'Secret', metadata: { name: `${name}-${secret}` }, data }]));
    await podman.must('secret', 'create', `${name}-${secret}`, file);
  };

  beforeAll(async () => {
    const version = [
      '--build-arg',
      `NODE_IMAGE=${base}`,
      '--build-arg',
      `BASE_IMAGE=${base}`,
      '--build-arg',
      'POSTGRES_VERSION=15',
      '--build-arg',
      'HA_DRILLS=yes',
    ];
    if (process.env['DBKIT_IMAGE'] === undefined)
      await podman.must('build', '--format', 'docker', '-f', 'deploy/Dockerfile', '-t', image, ...version, '.');
    await sweep();
    const { out, error, status } = await inProcess(['k8s', 'render', '--name', name, '--image', image, '--with', 'dump', 'drill']);
    expect({ error, status }).toEqual({ error: '', status: 0 });
    manifests = manifestsIn(out);
    const [config] = objects('ConfigMap');
    const settings = parseDocument(config!.data!['dbkit.yaml']!);
    // A story in seconds instead of minutes, and somebody who listens.
    settings.setIn(['monitor', 'intervalSeconds'], 0.5);
    settings.setIn(['monitor', 'maxFailures'], 2);
    settings.setIn(['monitor', 'cooldownSeconds'], 1);
    settings.set(
      'alerts',
      settings.createNode({ channels: { receiver: { type: 'webhook', url: { file: '/run/secrets/dbkit-alerts/receiver-url' } } } }),
    );
    (config!.data as Record<string, string>)['dbkit.yaml'] = settings.toString();
    await addSecret('passwords', { DATABASE_PASSWORD: 'open sesame', POSTGRES_PASSWORD: 'root of all' });
    await addSecret('alerts', { 'receiver-url': 'http://127.0.0.1:8099/' });
    await writeFile(join(folder, 'pod.yaml'), stream([...objects('PersistentVolumeClaim'), ...objects('ConfigMap'), database()]));
  });
  afterAll(async () => {
    if (process.env['KEEP'] === undefined) await sweep();
  });

  test('starts without a right that it does not need, and serves', async () => {
    await podman.must('kube', 'play', '--network', 'none', join(folder, 'pod.yaml'));
    await ready();
    expect((await inDatabase('id', '-u')).stdout.trim()).toBe('999');
    expect((await inDatabase('touch', '/usr/x')).stderr).toContain('Read-only file system');
    expect((await inDatabase('grep', '^CapEff', '/proc/self/status')).stdout).toMatch(/0{16}$/m);
    await psql('create table ledger as select g as id from generate_series(1, 1000) g', 'dbuser', 'localhost');
    await expect(
      podman.must('exec', `${name}-0-database`, 'psql', '-h', '/var/lib/dbkit/run', '-U', 'postgres', '-wc', 'select 1'),
    ).rejects.toThrow(/password/);
  });

  test('answers every probe of its manifest', async () => {
    for (const { name: container, startupProbe, readinessProbe, livenessProbe } of podOf(objects('StatefulSet')[0]!)!.containers)
      for (const probe of [startupProbe, readinessProbe, livenessProbe])
        if (probe?.exec) expect(await podman('exec', `${name}-0-${container}`, ...probe.exec.command)).toMatchObject({ code: 0 });
    await until('checked', async () => (await page('/metrics')).status === 200);
    expect(await page('/livez')).toMatchObject({ status: 200 });
    const { body } = await page('/metrics');
    expect(body).toMatch(/^dbkit_probe_status\{service="postgresql",probe="authentication"\} 0$/m);
  });

  test('backup, dump, verify and cleanup run in pods of their own; those who only read may not write to the data', async () => {
    for (const job of ['backup', 'dump', 'verify', 'cleanup'] as const) {
      const ended = await runJob(job);
      expect(ended, `${job}:\n${ended.stdout}${ended.stderr}`).toMatchObject({ code: 0 });
    }
    expect((await runJob('backup', ['touch', '/var/lib/dbkit/data/x'])).stderr).toContain('Read-only file system');
    expect(await backups()).toMatchObject([
      { engine: 'dump', state: 'verified', note: 'scheduled' },
      { engine: 'copy', state: 'verified', note: 'scheduled' },
    ]);
  });

  test('a job whose trouble no repetition mends ends with the status that fails it at once', async () => {
    const [{ label } = { label: '' }] = (await backups()).filter(({ engine }) => engine === 'copy');
    await inDatabase('sh', '-c', `echo >> /var/lib/postgresql-backup/${label}/global/pg_control`);
    const ended = await runJob('verify', ['dbkit', 'backup', 'verify', label]);
    expect(ended, ended.stdout).toMatchObject({ code: 65 });
    expect((await runJob('backup', ['dbkit', 'backup', 'create', '--config', '/nowhere'])).code).toBe(78);
    await inDatabase('truncate', '--size=-1', `/var/lib/postgresql-backup/${label}/global/pg_control`);
    expect((await runJob('verify', ['dbkit', 'backup', 'verify', label])).code).toBe(0);
  });

  test('a cluster’s disaster is rehearsed within a pod without network, rights or volumes', async () => {
    const ended = await runJob('drill', ['dbkit', 'ha', 'drill', 'leader-node', '--json']);
    const { report, failure } = JSON.parse(ended.stdout) as { report?: { trials: readonly object[] }; failure?: object };
    expect(report?.trials, JSON.stringify({ failure, said: ended.stderr })).toMatchObject([{ lostRows: 0, twoWritableSeconds: 0 }]);
    expect([0, 1]).toContain(ended.code); // How long it takes is a matter of the machine.
  });

  test('a database that somebody dropped comes back from the dump', async () => {
    await psql('drop table ledger');
    const dump = (await backups()).find(({ engine }) => engine === 'dump')!.label;
    const restored = await inMonitor('dbkit', 'backup', 'restore', dump, '--yes');
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    expect(await psql('select count(*) from ledger')).toBe('1000');
  });

  test('a database whose files are gone is restored by the monitor, to the last commit, and people hear of it', async () => {
    const receiver = `require('node:http').createServer((asked, answer) => {
      asked.on('data', (part) => require('node:fs').appendFileSync('/tmp/heard', part + '\\n'));
      asked.on('end', () => answer.end());
      if (asked.url === '/end') process.exit();
    }).listen(8099)`;
    await podman.must('exec', '--detach', `${name}-0-monitor`, 'node', '-e', receiver);
    const backup = await runJob('backup');
    expect(backup, backup.stderr).toMatchObject({ code: 0 });
    await psql('insert into ledger select generate_series(1001, 1500)');
    const oid = await psql("select oid from pg_database where datname = 'dbuser'");
    await inDatabase('rm', '-rf', `/var/lib/dbkit/data/base/${oid}`);
    const heard = async (): Promise<string> => (await inMonitor('cat', '/tmp/heard')).stdout;
    await until('recovered', async () => (await heard()).includes('was recovered'));
    expect(await heard()).toContain('the server failed');
    expect(await heard()).toMatch(/the backup with the WAL since then holds every row.*Nothing is lost/);
    await ready();
    expect(await psql('select count(*) from ledger')).toBe('1500');
    await inMonitor('node', '-e', "fetch('http://127.0.0.1:8099/end').catch(() => undefined)"); // Podman 4.3 stops no container in which something else runs.
  });

  test('a restore and its undo, asked for in the monitor’s container, leave both containers alive', async () => {
    const started = (): Promise<string> =>
      podman.must('inspect', '--format', '{{.State.StartedAt}}', `${name}-0-database`, `${name}-0-monitor`);
    const before = await started();
    const [{ label } = { label: '' }] = (await backups()).filter(({ engine }) => engine === 'copy');
    const restored = await inMonitor('dbkit', 'backup', 'restore', label, '--yes');
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    expect(await psql('select count(*) from ledger')).toBe('1000');
    const undone = await inMonitor('dbkit', 'backup', 'undo', '--yes');
    expect(undone, undone.stderr).toMatchObject({ code: 0 });
    expect(await psql('select count(*) from ledger')).toBe('1500');
    expect(await started()).toBe(before);
  });

  test('a database container that is killed comes back beside its monitor, with every acknowledged row', async () => {
    await psql('insert into ledger select generate_series(1501, 2000)');
    await podman.must('kill', '--signal', 'KILL', `${name}-0-database`);
    await sleep(2_000); // The monitor has seen it by then, and must not stand in the way.
    const isServing = async (): Promise<boolean> => {
      await podman('start', `${name}-0-database`); // The kubelet's part; starting what runs already does nothing.
      return (await inDatabase('dbkit', 'status', '--wait', '--timeout', '2', '--quiet')).code === 0;
    };
    await until('serving again', isServing);
    expect(await psql('select count(*) from ledger')).toBe('2000');
  });

  test('stops within its budget, and starts again where it was', async () => {
    const begun = performance.now();
    // As the kubelet does it: the containers first and then the sandbox, whose end would end every process of the pod. Podman ends the
    // sandbox as soon as no container is left that is not being stopped.
    await podman.must('stop', '--time', '10', `${name}-0-database`);
    expect(performance.now() - begun).toBeLessThan(STOP_MS);
    expect(await podman.must('inspect', '--format', '{{.State.ExitCode}}', `${name}-0-database`)).toBe('0');
    expect((await runJob('backup')).stderr, 'a job needs no running server').toContain('of the stopped server');
    await podman.must('pod', 'stop', `${name}-0`);
    await podman.must('pod', 'start', `${name}-0`);
    await ready();
    expect(await psql('select count(*) from ledger')).toBe('2000');
  });
});
