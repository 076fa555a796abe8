import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as operator from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import * as apps from 'kubernetes-models/apps/v1';
import * as batch from 'kubernetes-models/batch/v1';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import * as core from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { makeAlertSecret } from '../../src/alerts/make-secret.ts';
import { drillNamed } from '../../src/cluster/drill/drills.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { renderManifests } from '../../src/homes/kubernetes/render-manifests.ts';
import { failures } from '../../src/kernel/errors.ts';
import { watchingAnew } from '../../src/monitor/decide.ts';
import { picturePage } from '../../src/monitor/pages.ts';
import { inProcess } from '../harness/in-process.ts';
import { serveDiscovery } from '../harness/kube-api.ts';
import {
  type Container,
  hasKubectl,
  KUBERNETES,
  kustomized,
  type Manifest,
  manifestsIn,
  manifestsOf,
  podOf,
} from '../harness/manifests.ts';

const execute = promisify(execFile);

/** Kubernetes' own JSON schemas, as npm has them. */
const models = { ...core, ...apps, ...batch, ...networking, ...policy, ...operator } as unknown as Record<
  string,
  new (
    data: object,
  ) => { validate(): void; apiVersion: string }
>;

/**
 * Kubernetes' schemas let unknown fields pass, and a mistyped one then does nothing. A validator asks for every field that it knows, so a
 * field that nobody asked for is one.
 */
function watchedReads(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const inner = Object.fromEntries(Object.entries(value).map(([key, field]) => [key, watchedReads(field, `${path}.${key}`, unread)]));
  if (Array.isArray(value)) return Object.values(inner);
  for (const key of Object.keys(value)) unread.add(`${path}.${key}`);
  const readAll = (): void => {
    for (const key of Object.keys(value)) unread.delete(`${path}.${key}`);
  };
  return new Proxy(inner, {
    get: (target, key) => {
      unread.delete(`${path}.${String(key)}`);
      return Reflect.get(target, key) as unknown;
    },
    ownKeys: (target) => {
      readAll(); // A map, such as labels: every key is its own.
      return Reflect.ownKeys(target);
    },
  });
}

function problemsOf(manifest: Manifest): string[] {
  const Model = models[manifest.kind];
  if (!Model) return [`no schema for ${manifest.kind}`];
  const unread = new Set<string>();
  const { apiVersion, kind, metadata, ...rest } = manifest;
  const model = new Model({ metadata });
  const problems = model.apiVersion === apiVersion ? [] : [`${kind} is ${model.apiVersion}, not ${apiVersion}`];
  Object.assign(model, Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, watchedReads(value, key, unread)])));
  try {
    model.validate();
  } catch (cause) {
    problems.push(`${kind} ${metadata.name}: ${String(cause)}`);
  }
  return [...problems, ...[...unread].map((path) => `${kind} ${metadata.name}: there is no ${path}`)];
}

const folders = ['base', 'components/monitoring', 'components/dump', 'components/drill'];
const everything = folders.flatMap(manifestsOf);
const named = (kind: string, name: string): Manifest => everything.find((one) => one.kind === kind && one.metadata.name === name)!;
const containers: Container[] = everything.flatMap((manifest) => podOf(manifest)?.containers ?? []);
const jobs = everything.filter(({ kind }) => kind === 'CronJob');
const config = named('ConfigMap', 'dbkit-config').data!['dbkit.yaml']!;

describe('the schemas', () => {
  test('know every object and every field of it', () => expect(everything.flatMap(problemsOf)).toEqual([]));

  test('would notice a wrong value, a missing field and a mistyped one', () => {
    const job = named('CronJob', 'dbkit-backup');
    const spec = job.spec as Record<string, unknown>;
    expect(problemsOf({ ...job, spec: { ...spec, startingDeadlineSeconds: 'soon' } })).toHaveLength(1);
    expect(problemsOf({ ...job, spec: { jobTemplate: spec['jobTemplate'] } })).toHaveLength(1);
    expect(problemsOf({ ...job, spec: { ...spec, concurencyPolicy: 'Forbid' } })).toEqual([
      'CronJob dbkit-backup: there is no spec.concurencyPolicy',
    ]);
  });

  test.skipIf(!hasKubectl).each(['dev', 'prod'])('know what kustomize makes of the overlay %s', (overlay) => {
    const made = kustomized(`overlays/${overlay}`);
    expect(made.flatMap(problemsOf)).toEqual([]);
    const namespaced = made.filter(({ kind }) => kind !== 'Namespace');
    expect(new Set(namespaced.map(({ metadata }) => metadata.namespace)).size).toBe(1);
    expect(made.some(({ kind }) => kind === 'PodDisruptionBudget')).toBe(overlay === 'prod');
    expect(made.some(({ kind }) => kind === 'Secret')).toBe(overlay === 'dev');
    const { volumes } = podOf(made.find(({ kind }) => kind === 'StatefulSet')!)!;
    expect(volumes.find(({ name }) => name === 'shm')).toMatchObject({ emptyDir: { sizeLimit: overlay === 'prod' ? '1Gi' : '256Mi' } });
  });
});

test.skipIf(!hasKubectl)('kubectl takes what render prints, all of it', async () => {
  const { out } = await inProcess(['k8s', 'render', '--name', 'shop', '--with', 'monitoring', 'dump', 'drill']);
  const api = await serveDiscovery(manifestsIn(out));
  const home = await mkdtemp(join(tmpdir(), 'dbkit-kubectl-')); // Neither a person's cluster nor his cache of one.
  try {
    const flags = [
      'create',
      '--dry-run=client',
      '--validate=false',
      '--filename=-',
      '--output=name',
      `--server=${api.url}`,
      `--cache-dir=${home}`,
    ];
    const asked = execute('kubectl', flags, { env: { ...process.env, HOME: home, KUBECONFIG: join(home, 'none') } });
    asked.child.stdin!.end(out);
    const names = (await asked).stdout.trim().split('\n');
    expect(names).toHaveLength(manifestsIn(out).length);
    expect(names).toEqual(
      expect.arrayContaining(['statefulset.apps/shop', 'cronjob.batch/shop-verify', 'prometheusrule.monitoring.coreos.com/shop']),
    );
  } finally {
    api.close();
    await rm(home, { recursive: true });
  }
});

test('the jobs come when they should, one at a time', () => {
  const seen = jobs.map(({ metadata, spec }) => {
    const { schedule, timeZone, concurrencyPolicy } = spec as Record<string, unknown>;
    return [metadata.name, schedule, timeZone, concurrencyPolicy];
  });
  expect(seen).toEqual([
    ['dbkit-backup', '0 6,18 * * *', 'Etc/UTC', 'Forbid'],
    ['dbkit-cleanup', '0 2 * * *', 'Etc/UTC', 'Forbid'],
    ['dbkit-verify', '0 3 * * *', 'Etc/UTC', 'Forbid'],
    ['dbkit-dump', '30 4 * * 0', 'Etc/UTC', 'Forbid'],
    ['dbkit-drill', '0 5 1 * *', 'Etc/UTC', 'Forbid'],
  ]);
});

interface JobSpec {
  readonly jobTemplate: {
    readonly spec: { readonly podFailurePolicy: { readonly rules: readonly Rule[] }; readonly ttlSecondsAfterFinished: number };
  };
}
interface Rule {
  readonly action: string;
  readonly onExitCodes?: { readonly values: readonly number[] };
}

test('what cannot be mended by doing it again fails a job at once, and nothing else does', () => {
  const hopeless = [...new Set(Object.values(failures).flatMap(({ exit, retryable }) => (retryable ? [] : [exit])))];
  for (const job of jobs) {
    const { rules } = (job.spec as JobSpec).jobTemplate.spec.podFailurePolicy;
    expect(rules.find(({ action }) => action === 'FailJob')!.onExitCodes!.values).toEqual(hopeless.sort((a, b) => a - b));
    expect(podOf(job)).toMatchObject({ restartPolicy: 'Never' });
  }
});

test('the pods have the rights of nobody', () => {
  for (const manifest of everything) {
    const pod = podOf(manifest);
    if (!pod) continue;
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 999, seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod.automountServiceAccountToken).toBe(false);
    for (const container of pod.containers) {
      expect(container.securityContext).toEqual({
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      });
      expect(container.resources).toMatchObject({ requests: { cpu: expect.any(String) }, limits: { memory: expect.any(String) } });
    }
  }
});

test('the kubelet waits for dbkit’s whole stop', () => {
  const pod = podOf(named('StatefulSet', 'dbkit'))!;
  const { stopSeconds } = parse(config) as { stopSeconds: number };
  const pause = Number(pod.containers[0]!.lifecycle!.preStop.exec.command[1]);
  expect(pod.terminationGracePeriodSeconds).toBe(pause + stopSeconds + 2);
});

test('the configuration in the ConfigMap is one, and keeps backups for 30 days', () => {
  const { config: settings } = layerConfig({ file: { path: 'dbkit.yaml', value: parse(config) }, environment: [], flags: [] });
  expect(settings.retention.maxAge).toBe('30d');
  const mounts = containers[0]!.volumeMounts.map(({ mountPath }) => mountPath);
  for (const path of [settings.stateDir, settings.logDir, settings.backupDir, settings.postgresql.dataDir, settings.postgresql.socketDir])
    expect(
      mounts.some((mount) => path === mount || path.startsWith(`${mount}/`)),
      path,
    ).toBe(true);
});

test('every command of dbkit’s that is named there exists, with its flags', async () => {
  const commands = containers.flatMap(({ command, startupProbe, readinessProbe, livenessProbe }) => [
    command,
    ...[startupProbe, readinessProbe, livenessProbe].flatMap((probe) => (probe?.exec ? [probe.exec.command] : [])),
  ]);
  expect(commands.length).toBeGreaterThan(8);
  for (const [name, ...words] of commands) {
    expect(name).toBe('dbkit');
    const { status, error } = await inProcess([...words, '--help']);
    expect({ status, error }, words.join(' ')).toEqual({ status: 0, error: '' });
  }
});

test('a drill has the programs of a cluster in its image, and touches neither the data nor its backups', () => {
  const dockerfile = readFileSync('deploy/Dockerfile', 'utf8');
  const packages = /HA_DRILLS\}" = no \] \|\| apt-get install -y --no-install-recommends ([^;]+);/.exec(dockerfile)![1]!.split(' ');
  expect(packages).toEqual(['patroni', 'python3-etcd', 'etcd-server', 'haproxy', 'pgbouncer']); // And postgresql, which is there.
  const {
    volumes,
    containers: [drill],
  } = podOf(named('CronJob', 'dbkit-drill'))!;
  expect(drill!.command.slice(0, 3)).toEqual(['dbkit', 'ha', 'drill']);
  expect(drillNamed(drill!.command[3]!)).toBeDefined();
  expect(volumes.filter((volume) => !('emptyDir' in volume))).toEqual([]);
});

test('every figure in the alert rules is one that the monitor shows', async () => {
  const health = { status: 'ok', at: '2026-11-21T06:00:00.000Z', durationMs: 1, probes: [] } as const;
  const last = {
    at: health.at,
    health,
    verdict: 'well',
    action: 'none',
    because: '',
    state: watchingAnew,
    events: [],
    recovery: null,
  } as const;
  const watched = { now: new Date(), host: 'pod', environment: null, version: '1', quietMs: 0, intervalMs: 1 };
  const picture = { ...watched, check: last, samples: [], backups: [], recoveries: [], drills: [] };
  const shown = (await picturePage('/metrics', async () => picture))!.body;
  const rules = readFileSync(join(KUBERNETES, 'components/monitoring/rules.yaml'), 'utf8');
  const figures = [...rules.matchAll(/\bdbkit_\w+/g)].map(([name]) => name);
  expect(figures.length).toBeGreaterThan(3);
  expect(figures.filter((name) => !shown.includes(`# TYPE ${name} `))).toEqual([]);
});

interface AlertRules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

test('each job that fails is told by one alert, and no longer than a week', () => {
  const [document] = manifestsIn(readFileSync(join(KUBERNETES, 'components/monitoring/rules.yaml'), 'utf8'));
  const told = (document!.spec as AlertRules).groups
    .flatMap(({ rules }) => rules)
    .flatMap(({ alert, expr }) => {
      const names = /kube_job_status_failed\{job_name=~"([^"]+)"\}/.exec(expr)?.[1];
      const limit = / and on \(namespace, job_name\) time\(\) - kube_job_status_start_time < (\d+)$/.exec(expr)?.[1];
      return names === undefined
        ? []
        : [{ alert, names: new RegExp(`^${names}$`), limitSeconds: Number(limit ?? Number.POSITIVE_INFINITY) }];
    });
  expect(jobs.length).toBeGreaterThan(4);
  for (const { metadata, spec } of jobs) {
    const by = told.filter(({ names }) => names.test(`${metadata.name}-29421300`));
    expect(by.map(({ alert }) => alert)).toEqual([metadata.name === 'dbkit-drill' ? 'DbkitDrillFailed' : 'DbkitJobFailed']);
    const { ttlSecondsAfterFinished: keptSeconds } = (spec as JobSpec).jobTemplate.spec;
    expect(Math.min(by[0]!.limitSeconds, keptSeconds), metadata.name).toBeLessThanOrEqual(7 * 86_400);
  }
});

test('images bear the version of the package', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  for (const folder of ['base', 'components/dump', 'components/drill'])
    expect(readFileSync(join(KUBERNETES, folder, 'kustomization.yaml'), 'utf8')).toContain(`newTag: ${version}\n`);
});

const nothing = async (): Promise<void> => undefined;

describe('dbkit k8s render', () => {
  const render = async (...flags: string[]): Promise<Manifest[]> => {
    const { out, error, status } = await inProcess(['k8s', 'render', ...flags]);
    expect({ error, status }).toEqual({ error: '', status: 0 });
    return manifestsIn(out);
  };

  test('without flags it is the base as kustomize would make it', async () => {
    const images = (manifest: Manifest): Manifest =>
      JSON.parse(JSON.stringify(manifest).replace(/"image":"dbkit[^"]*"/g, '"image":"dbkit"')) as Manifest;
    const rendered = (await render()).map(images);
    expect(rendered).toHaveLength(manifestsOf('base').length);
    expect(rendered).toEqual(expect.arrayContaining(manifestsOf('base')));
  });

  test('fills in names, image, schedules and sizes, and what belongs together stays together', async () => {
    const flags = [
      '--name',
      'orders',
      '--namespace',
      'shop',
      '--image',
      'registry.example/dbkit:17',
      '--with',
      'monitoring',
      'dump',
      'drill',
    ];
    const made = await render(...flags, '--backup-schedule', '15 4 * * *', '--data-size', '20Gi', '--storage-class', 'fast');
    expect(made.flatMap(problemsOf)).toEqual([]);
    expect(made.filter(({ metadata: { name, namespace } }) => !/^orders(-|$)/.test(name) || namespace !== 'shop')).toEqual([]);
    const pods = made.flatMap((manifest) => podOf(manifest) ?? []);
    expect(new Set(pods.flatMap((pod) => pod.containers.map(({ image }) => image)))).toEqual(new Set(['registry.example/dbkit:17']));
    const names = new Set([...made.map(({ metadata }) => metadata.name), 'orders-passwords', 'orders-alerts']);
    const refer = /"(?:claimName|secretName|serviceName|app.kubernetes.io\/instance)":"([^"]+)"/g;
    const referred = [...JSON.stringify(made).matchAll(refer)].map(([, name]) => name!);
    expect(referred.length).toBeGreaterThan(10);
    expect(referred.filter((name) => !names.has(name))).toEqual([]);
    expect(JSON.stringify(made).match(/(?<!secrets\/)dbkit-(data|backups|config|passwords|alerts|0\b)/)).toBeNull();
    const asked = [...JSON.stringify(made).matchAll(/job_name=~\\"(\w+-)/g)].map(([, name]) => name);
    expect(asked, 'the jobs in the alert rules').toEqual(['orders-', 'orders-']);
    expect(made.find(({ metadata }) => metadata.name === 'orders-backup')!.spec).toMatchObject({ schedule: '15 4 * * *' });
    expect(made.find(({ metadata }) => metadata.name === 'orders-data')!.spec).toMatchObject({
      storageClassName: 'fast',
      resources: { requests: { storage: '20Gi' } },
    });
  });

  test('the alert channels go along: their secrets into a Secret, the rest into the ConfigMap', async () => {
    const channels = {
      team: { type: 'slack', url: { env: 'SLACK' } },
      mail: { type: 'email', host: 'smtp.example', sender: 'a@example', to: ['b@example'], password: { file: '/run/smtp' } },
    };
    const { config: settings } = layerConfig({ file: { path: 'x', value: { alerts: { channels } } }, environment: [], flags: [] });
    const secrets = await makeAlertSecret(
      {
        config: settings,
        alerts: {
          channels: [],
          tell: nothing,
          history: async () => [],
          test: nothing,
          tryOut: async () => undefined,
          telegramChats: async () => [],
          reveal: async (place) => JSON.stringify(place),
        },
      },
      { name: 'dbkit-alerts', namespace: 'shop' },
    );
    expect(problemsOf(secrets)).toEqual([]);
    expect(secrets.stringData).toEqual({ 'team-url': '{"env":"SLACK"}', 'mail-password': '{"file":"/run/smtp"}' });
    const request = { home: '.', version: '1', name: 'dbkit', with: [], schedules: {} } as const;
    const { manifests } = await renderManifests(
      { config: settings },
      { ...request, namespace: undefined, image: undefined, dataSize: undefined, backupsSize: undefined, storageClass: undefined },
    );
    const text = manifestsIn(manifests).find(({ kind }) => kind === 'ConfigMap')!.data!['dbkit.yaml']!;
    const inPod = layerConfig({ file: { path: 'x', value: parse(text) }, environment: [], flags: [] }).config.alerts.channels;
    expect(inPod).toMatchObject({
      team: { url: { file: '/run/secrets/dbkit-alerts/team-url' } },
      mail: { password: { file: '/run/secrets/dbkit-alerts/mail-password' }, to: ['b@example'] },
    });
    expect(text).toContain('# Both of a day, for a week,');
  });

  test.each([
    ['--name', 'Orders'],
    ['--name', 'x'.repeat(45)],
    ['--backup-schedule', 'daily'],
    ['--data-size', 'much'],
    ['--with', 'magic'],
  ])('refuses %s %s before it prints anything', async (flag, value) => {
    expect(await inProcess(['k8s', 'render', flag, value])).toMatchObject({ status: 2, out: '' });
  });
});
