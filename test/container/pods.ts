import { type ExecFileException, execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Manifest, PodSpec } from '../harness/manifests.ts';

/** How a command in a container ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The lab of container-lab where it is up, else a podman of this machine's own; undefined without either. */
export async function findPodman(folder: string): Promise<string | undefined> {
  const lab = process.env['CONTAINER_LAB_DIR'] ?? join(tmpdir(), 'dbkit-labs/container-lab');
  const holder = join(lab, 'run/holder.pid');
  if (existsSync(holder) && existsSync(`/proc/${readFileSync(holder, 'utf8').trim()}/ns/mnt`)) return podsInLab(lab, holder, folder);
  return spawnSync('podman', ['info'], { stdio: 'ignore' }).status === 0 ? 'podman' : undefined;
}

/** The lab starts containers without cgroups, which a pod cannot be; this is its podman with the same settings but for that one. */
async function podsInLab(lab: string, holder: string, folder: string): Promise<string> {
  const settings = await readFile(join(lab, 'conf/containers.conf'), 'utf8');
  await writeFile(join(folder, 'containers.conf'), settings.replace('cgroups="disabled"', 'cgroups="enabled"'));
  const script = join(folder, 'podman');
  const environment = `BUILDAH_ISOLATION=chroot TMPDIR=${lab}/tmp CONTAINERS_CONF=${folder}/containers.conf`;
  await writeFile(script, `#!/bin/sh\nexec nsenter -t "$(cat ${holder})" -m --wdns="$PWD" env ${environment} podman "$@"\n`);
  await chmod(script, 0o755);
  return script;
}

export interface Podman {
  (...args: readonly string[]): Promise<Ended>;
  /** The same, which must end with 0. */
  must(...args: readonly string[]): Promise<string>;
}

export function createPodman(program: string): Podman {
  const run = (...args: readonly string[]): Promise<Ended> =>
    new Promise((resolve) => {
      execFile(program, [...args], { maxBuffer: 64 * 1024 ** 2 }, (cause: ExecFileException | null, stdout, stderr) =>
        resolve({ code: cause === null ? 0 : typeof cause.code === 'number' ? cause.code : 1, stdout, stderr }),
      );
    });
  const must = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args);
    if (code !== 0) throw new Error(`podman ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
    return stdout.trim();
  };
  return Object.assign(run, { must });
}

/**
 * A pod template as `podman kube play` 4.3 can take it. It knows no StatefulSet and no CronJob, runs no probes without systemd, and fills a
 * volume on /dev/shm from the image, where nobody may write, publishes ports on bridges only, never mounts an optional Secret, and takes an
 * emptyDir for a volume of that name, which all pods share; everything else is what Kubernetes gets.
 */
export function asPod(name: string, spec: PodSpec): object {
  const containers = spec.containers.map(
    ({ startupProbe: _s, readinessProbe: _r, livenessProbe: _l, lifecycle: _c, ports: _p, ...container }) => ({
      ...container,
      imagePullPolicy: 'Never',
      volumeMounts: container.volumeMounts
        .filter((mount) => mount.name !== 'shm')
        .map((mount) => ({ ...mount, name: `${name}-${mount.name}` })),
    }),
  );
  const volumes = spec.volumes
    .filter((volume) => volume.name !== 'shm')
    .map((volume) => ({
      ...volume,
      name: `${name}-${volume.name}`,
      ...('secret' in volume ? { secret: { ...(volume['secret'] as object), optional: false } } : {}),
    }));
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { ...spec, containers, volumes } };
}

export const stream = (documents: readonly (object | Manifest)[]): string =>
  documents.map((document) => stringify(document, { aliasDuplicateObjects: false })).join('---\n');
