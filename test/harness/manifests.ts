import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** A Kubernetes object as far as tests look into one. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

/** `exec` is missing where the kubelet asks over HTTP. */
export interface ExecProbe {
  readonly exec?: { readonly command: readonly string[] };
}
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly securityContext: unknown;
  readonly resources: unknown;
  readonly ports?: unknown;
  readonly startupProbe?: ExecProbe;
  readonly readinessProbe?: ExecProbe;
  readonly livenessProbe?: ExecProbe;
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
}
export interface PodSpec {
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly [source: string]: unknown }[];
  readonly securityContext: unknown;
  readonly terminationGracePeriodSeconds: number;
  readonly automountServiceAccountToken: boolean;
}

export const KUBERNETES = 'deploy/kubernetes';

export const manifestsIn = (yaml: string): Manifest[] =>
  parseAllDocuments(yaml)
    .map((document) => {
      if ('errors' in document && document.errors.length > 0) throw document.errors[0]!;
      return document.toJS() as Manifest;
    })
    .filter((value) => value !== null);

/** Every object of a folder's files; kustomize's own are left out. */
export const manifestsOf = (folder: string): Manifest[] =>
  readdirSync(join(KUBERNETES, folder))
    .filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml')
    .flatMap((name) => manifestsIn(readFileSync(join(KUBERNETES, folder, name), 'utf8')));

/** The pod template of whatever makes pods; undefined for everything else. */
export function podOf({ kind, spec }: Manifest): PodSpec | undefined {
  const { template, jobTemplate } = (spec ?? {}) as {
    template?: { spec: PodSpec };
    jobTemplate?: { spec: { template: { spec: PodSpec } } };
  };
  return kind === 'CronJob' ? jobTemplate?.spec.template.spec : kind === 'StatefulSet' ? template?.spec : undefined;
}

export const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;

/** What kustomize makes of a folder. */
export function kustomized(folder: string): Manifest[] {
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', join(KUBERNETES, folder)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`kubectl kustomize ${folder}: ${stderr}`);
  return manifestsIn(stdout);
}
