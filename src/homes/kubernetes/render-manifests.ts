import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Document, Pair, Scalar } from 'yaml';
import { ALERTS_FOLDER, channelsInPod } from '../../alerts/secrets.ts';
import type { Config } from '../../config/config.ts';
import { DbkitError } from '../../kernel/errors.ts';

export const components = ['monitoring', 'dump', 'drill'] as const;
export const jobs = ['backup', 'verify', 'cleanup', 'dump', 'drill'] as const;

export interface RenderRequest {
  /** The package's own folder. */
  readonly home: string;
  readonly version: string;
  /** Of every object; what belongs together begins with it. */
  readonly name: string;
  readonly namespace: string | undefined;
  readonly image: string | undefined;
  readonly with: readonly (typeof components)[number][];
  /** Five fields of cron(8), in UTC. */
  readonly schedules: Readonly<Partial<Record<(typeof jobs)[number], string>>>;
  readonly dataSize: string | undefined;
  readonly backupsSize: string | undefined;
  readonly storageClass: string | undefined;
}

export interface RenderReport {
  readonly objects: readonly { readonly kind: string; readonly name: string }[];
  /** Secrets that must be there, or may be, and are in no manifest. */
  readonly secrets: readonly { readonly name: string; readonly keys: readonly string[]; readonly required: boolean }[];
  readonly manifests: string;
}

const DEFAULT_NAME = 'dbkit';
/** Objects that the manifests only refer to. */
const secrets = [`${DEFAULT_NAME}-passwords`, `${DEFAULT_NAME}-alerts`];
/** Where the name of an object stands; everything else that says `dbkit` means the program. */
const nameKeys: ReadonlySet<unknown> = new Set(['name', 'claimName', 'secretName', 'serviceName', 'app.kubernetes.io/instance']);

/** The manifests of deploy/kubernetes with names, image, schedules and sizes filled in; comments stay. Rejects with `internal.bug` when the package lacks them. */
export async function renderManifests({ config }: { readonly config: Config }, request: RenderRequest): Promise<RenderReport> {
  const { default: yaml } = await import('yaml');
  const folders = ['base', ...request.with.map((name) => join('components', name))];
  const texts = (await Promise.all(folders.map((folder) => readFolder(join(request.home, 'deploy/kubernetes', folder))))).flat();
  const documents = texts.flatMap((text) => [...yaml.parseAllDocuments(text)] as Document[]);
  const channels = config.alerts.channels;
  const names = new Set([...documents.map((document) => String(document.getIn(['metadata', 'name']))), ...secrets]);
  for (const document of documents) {
    fillIn(document, request);
    if (Object.keys(channels).length > 0) addAlerts(document, channelsInPod(channels), yaml.parseDocument);
    yaml.visit(document, {
      Pair: (_key, pair) => {
        const { key, value } = pair as Pair<Scalar, Scalar>;
        if (value === null) return;
        if (nameKeys.has(key.value) && names.has(String(value.value))) value.value = renamed(String(value.value), request.name);
        if (key.value === 'image') value.value = request.image ?? `${DEFAULT_NAME}:${request.version}`;
      },
      Scalar: (_key, node) => {
        if (typeof node.value === 'string') node.value = inSentence(node.value, request.name);
      },
    });
  }
  const named = (secret: string): string => `${request.name}-${secret}`;
  return {
    objects: documents.map((document) => ({
      kind: String(document.get('kind')),
      name: String(document.getIn(['metadata', 'name'])),
    })),
    secrets: [
      { name: named('passwords'), keys: ['DATABASE_PASSWORD', 'POSTGRES_PASSWORD'], required: true },
      { name: named('alerts'), keys: [], required: false },
    ],
    manifests: documents.map((document) => document.toString({ lineWidth: 0 }).replace(/^---\n/, '')).join('---\n'),
  };
}

const renamed = (name: string, to: string): string => to + name.slice(DEFAULT_NAME.length);

/** In alerts' words and queries the pod and its jobs are named too. */
const inSentence = (text: string, name: string): string =>
  text.replaceAll('dbkit-0', `${name}-0`).replaceAll('job_name=~"dbkit-', `job_name=~"${name}-`);

async function readFolder(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch((cause: unknown) => {
    throw new DbkitError('internal.bug', `the package lacks ${folder}`, { cause });
  });
  const manifests = files.filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml');
  return Promise.all(manifests.sort().map((file) => readFile(join(folder, file), 'utf8')));
}

function fillIn(document: Document, { namespace, schedules, dataSize, backupsSize, storageClass }: RenderRequest): void {
  const name = String(document.getIn(['metadata', 'name']));
  if (namespace !== undefined) document.setIn(['metadata', 'namespace'], namespace);
  switch (document.get('kind')) {
    case 'CronJob': {
      const schedule = schedules[name.slice(`${DEFAULT_NAME}-`.length) as (typeof jobs)[number]];
      if (schedule !== undefined) document.setIn(['spec', 'schedule'], schedule);
      break;
    }
    case 'PersistentVolumeClaim': {
      const size = name.endsWith('-data') ? dataSize : backupsSize;
      if (size !== undefined) document.setIn(['spec', 'resources', 'requests', 'storage'], size);
      if (storageClass !== undefined) document.setIn(['spec', 'storageClassName'], storageClass);
    }
  }
}

/** The channels of the configuration at hand, their secrets where `dbkit alert setup --to-secret` puts them. */
function addAlerts(document: Document, channels: object, parse: (text: string) => Document): void {
  const text = document.get('kind') === 'ConfigMap' ? document.getIn(['data', 'dbkit.yaml']) : undefined;
  if (typeof text !== 'string') return;
  const config = parse(text);
  config.setIn(['alerts', 'channels'], config.createNode(channels));
  document.setIn(['data', 'dbkit.yaml'], `${config.toString({ lineWidth: 0 })}# The secrets are in ${ALERTS_FOLDER}.\n`);
}
