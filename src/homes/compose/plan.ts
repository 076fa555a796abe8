import type { Node, Pair, Scalar, YAMLMap } from 'yaml';
import { decide, fill } from '../../kernel/reasons.ts';
import { isSettings } from '../devcontainer/plan.ts';
import {
  appendToList,
  appendToMap,
  type ComposeFile,
  commentOut,
  indentAt,
  ownPair,
  pairSpan,
  rangeOf,
  type Splice,
  serviceMap,
} from './edit-yaml.ts';
import { type PostgresImage, postgresImage } from './images.ts';
import { serverCommand } from './server-command.ts';
import { entrypointRows, type ServiceFacts, type Way } from './ways.ts';

/** Dockerfile, dbkit.yaml and dbkit.tgz lie in this folder beside the compose file; the service beside the server is called so too. */
export const HOME = 'dbkit';
const BACKUPS = 'dbkit-backups:/var/lib/postgresql-backup';

export interface Candidate {
  readonly service: string;
  /** As it is written. */
  readonly image: string;
  readonly kind: PostgresImage;
}

type Service = Readonly<Record<string, unknown>>;

export type ComposePlan =
  | {
      readonly action: 'edit';
      readonly because: string;
      readonly splices: readonly Splice[];
      /** For dbkit.yaml: of the server's `command`. */
      readonly settings: Readonly<Record<string, string>>;
      readonly warnings: readonly string[];
    }
  | { readonly action: 'tell'; readonly because: string };

const servicesOf = ({ value }: ComposeFile): [string, Service][] =>
  Object.entries(isSettings(value['services']) ? value['services'] : {}).filter((entry): entry is [string, Service] =>
    isSettings(entry[1]),
  );

/** The services that run PostgreSQL from an image that is known. */
export const candidates = (file: ComposeFile): Candidate[] =>
  servicesOf(file).flatMap(([service, { image }]) => {
    const kind = typeof image === 'string' ? postgresImage(image) : undefined;
    return kind === undefined ? [] : [{ service, image: image as string, kind }];
  });

/** The services that dbkit's folder makes already: the server's, and the one beside it. */
export const madeByDbkit = (file: ComposeFile): string[] =>
  servicesOf(file).flatMap(([service, { build }]) => {
    const context = isSettings(build) ? build['context'] : build;
    return typeof context === 'string' && context.replace(/\/$/, '') === `./${HOME}` ? [service] : [];
  });

/** A key of the service where it is written: in its own map, or in one that it alone merges in. */
function written(
  file: ComposeFile,
  service: string,
  key: string,
): { readonly pair: Pair<Scalar, Node>; readonly shared: boolean } | undefined {
  const map = serviceMap(file, service);
  if (map === undefined) return undefined;
  const isNamed = (node: Node | null): boolean => file.yaml.isAlias(node) || (node as { anchor?: string } | null)?.anchor !== undefined;
  const own = ownPair(map, key);
  if (own) return { pair: own, shared: isNamed(own.value) };
  for (const source of merged(file, map)) {
    const pair = ownPair(source, key);
    if (pair) return { pair, shared: isNamed(pair.value) || usersOf(file, source) > 1 };
  }
  return undefined;
}

function merged(file: ComposeFile, map: YAMLMap): YAMLMap[] {
  const merge = ownPair(map, '<<')?.value;
  const nodes = file.yaml.isSeq(merge) ? (merge.items as Node[]) : merge ? [merge] : [];
  return nodes.flatMap((node) => {
    const source = file.yaml.isAlias(node) ? node.resolve(file.document) : node;
    return file.yaml.isMap(source) ? [source, ...merged(file, source)] : [];
  });
}

const usersOf = (file: ComposeFile, source: YAMLMap): number =>
  servicesOf(file).filter(([service]) => {
    const map = serviceMap(file, service);
    return map === source || (map !== undefined && merged(file, map).includes(source));
  }).length;

function factsOf(file: ComposeFile, { service, kind }: Candidate): ServiceFacts {
  const value = servicesOf(file).find(([name]) => name === service)![1];
  const command = serverCommand(value['command'] ?? []);
  const shared = (key: 'image' | 'volumes' | 'command') => written(file, service, key)?.shared === true;
  return {
    image: kind,
    isInBraces: serviceMap(file, service)?.flow === true,
    shares: shared('image') ? 'image' : shared('volumes') ? 'volumes' : null,
    hasEntrypoint: value['entrypoint'] !== undefined,
    hasBuild: value['build'] !== undefined,
    strangeWord: command.kind === 'other' ? command.word : shared('command') ? 'an anchor' : null,
  };
}

/** How dbkit comes into the file, for one service that runs PostgreSQL. Pure. */
export function planCompose(file: ComposeFile, candidate: Candidate, way: Way): ComposePlan {
  if (way === 'beside') return planBeside(file, candidate);
  const facts = factsOf(file, candidate);
  const { then, words } = decide(entrypointRows, facts);
  const because = fill(words, { ...facts });
  if (then === 'tell') return { action: 'tell', because };
  const { service, image } = candidate;
  const { pair } = written(file, service, 'image')!;
  const indent = indentAt(file.text, rangeOf(pair.key)[0]);
  const command = written(file, service, 'command')?.pair;
  const { settings } = serverCommand(command === undefined ? [] : settingOf(file, service, 'command')) as {
    settings: Record<string, string>;
  };
  return {
    action: 'edit',
    because,
    splices: [
      { ...pairSpan(pair), put: buildLines(image).join(`\n${indent}`) },
      backupsOf(file, service),
      ...(command ? [commentOut(file, pairSpan(command), `in ${HOME}/dbkit.yaml now:`)] : []),
      ...topVolume(file),
    ],
    settings,
    warnings: warningsOf(file, candidate),
  };
}

const settingOf = (file: ComposeFile, service: string, key: string): unknown =>
  servicesOf(file).find(([name]) => name === service)![1][key];

/** An image with Compose's variables in it is handed on, so that they keep their meaning. */
const buildLines = (image: string): string[] =>
  image.includes('$')
    ? ['build:', `  context: ./${HOME}`, '  args:', `    POSTGRES_IMAGE: ${JSON.stringify(image)}`]
    : [`build: ./${HOME}`];

function backupsOf(file: ComposeFile, service: string): Splice {
  const volumes = written(file, service, 'volumes')?.pair.value;
  if (file.yaml.isSeq(volumes)) return appendToList(file, volumes, BACKUPS);
  return appendToMap(file, serviceMap(file, service)!, ['volumes:', `  - ${BACKUPS}`]);
}

/** The named volume, once. */
function topVolume(file: ComposeFile): Splice[] {
  const [name] = BACKUPS.split(':');
  const top = file.document.contents as YAMLMap;
  const pair = ownPair(top, 'volumes');
  if (isSettings(file.value['volumes']) && name! in file.value['volumes']) return [];
  if (pair === undefined)
    return [{ start: file.text.length, end: file.text.length, put: `${file.text.endsWith('\n') ? '' : '\n'}\nvolumes:\n  ${name}:\n` }];
  if (file.yaml.isMap(pair.value) && !pair.value.flow && pair.value.items.length > 0) return [appendToMap(file, pair.value, [`${name}:`])];
  if (file.yaml.isMap(pair.value) && pair.value.flow) {
    const end = rangeOf(pair.value)[1] - 1;
    return [{ start: end, end, put: `${pair.value.items.length > 0 ? ', ' : ''}${name}: {}` }];
  }
  const { end } = pairSpan(pair);
  return [{ start: end, end, put: `\n  ${name}:` }];
}

/** Where the image keeps its data: up to 17 in /var/lib/postgresql/data, from 18 on below /var/lib/postgresql. */
function warningsOf(file: ComposeFile, { service }: Candidate): string[] {
  const volumes = settingOf(file, service, 'volumes');
  const targets = (Array.isArray(volumes) ? volumes : []).map((volume) =>
    isSettings(volume) ? String(volume['target']) : (String(volume).split(':')[1] ?? String(volume)),
  );
  if (
    targets.some((target) => /^\/var\/lib\/postgresql(\/|$)/.test(target)) ||
    /PGDATA/.test(JSON.stringify(settingOf(file, service, 'environment') ?? ''))
  )
    return [];
  return [`the data of ${service} has no named volume: \`docker compose down --volumes\` and \`up --renew-anon-volumes\` remove it`];
}

const COPIED = [
  'POSTGRES_USER',
  'POSTGRES_PASSWORD',
  'POSTGRES_DB',
  'POSTGRES_USER_FILE',
  'POSTGRES_PASSWORD_FILE',
  'POSTGRES_DB_FILE',
  'PGPORT',
];
const OTHER_NAMES: Readonly<Record<string, string>> = {
  POSTGRESQL_USERNAME: 'POSTGRES_USER',
  POSTGRESQL_PASSWORD: 'POSTGRES_PASSWORD',
  POSTGRESQL_DATABASE: 'POSTGRES_DB',
  POSTGRESQL_PASSWORD_FILE: 'POSTGRES_PASSWORD_FILE',
};

/** A service more; those that are there stay as they are. */
function planBeside(file: ComposeFile, { service, image }: Candidate): ComposePlan {
  const services = file.document.get('services', true);
  if (!file.yaml.isMap(services) || services.flow)
    return { action: 'tell', because: 'the services are written in braces: write them on lines of their own first' };
  if (servicesOf(file).some(([name]) => name === HOME))
    return { action: 'tell', because: `there is a service ${HOME} already, which is not of \`dbkit init compose\`` };
  const value = servicesOf(file).find(([name]) => name === service)![1];
  const names = namesIn(value['environment']);
  const lines = [
    '',
    `# \`docker compose run --rm ${HOME} health\`, sql, snapshot, wait, backup create: over a connection; written by \`dbkit init compose\`.`,
    `${HOME}:`,
    ...buildLines(image).map((line) => `  ${line}`),
    `  profiles: [${HOME}]`,
    '  environment:',
    `    PGHOST: ${JSON.stringify(value['network_mode'] === 'host' ? '127.0.0.1' : service)}`,
    ...names.map(([name, text]) => `    ${name}: ${JSON.stringify(text)}`),
    ...listed('env_file', value['env_file']),
    ...listed('secrets', value['secrets']),
    ...listed('networks', value['networks']),
    ...(typeof value['network_mode'] === 'string' ? [`  network_mode: ${JSON.stringify(value['network_mode'])}`] : []),
    '  volumes:',
    `    - ${BACKUPS}`,
  ];
  const { splices, because } = {
    splices: [appendToMap(file, services, lines), ...topVolume(file)],
    because: `what is there stays; ${HOME} is one service more`,
  };
  return { action: 'edit', because, splices, settings: {}, warnings: [] };
}

/** Names and values of an environment that is a list or a map, under the official image's names; a name alone is the shell's. */
function namesIn(environment: unknown): [string, string][] {
  const pairs = Array.isArray(environment)
    ? environment.map((item) => [String(item).split('=')[0]!, /=(.*)$/s.exec(String(item))?.[1] ?? `\${${item}}`] as [string, string])
    : Object.entries(isSettings(environment) ? environment : {}).map(
        ([name, value]) => [name, value === null ? `\${${name}}` : String(value)] as [string, string],
      );
  return pairs.map(([name, value]): [string, string] => [OTHER_NAMES[name] ?? name, value]).filter(([name]) => COPIED.includes(name));
}

const listed = (key: string, value: unknown): string[] => (value === undefined ? [] : [`  ${key}: ${JSON.stringify(value)}`]);
