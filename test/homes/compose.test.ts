import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseCompose, spliced } from '../../src/homes/compose/edit-yaml.ts';
import { dockerfile, settingsFile } from '../../src/homes/compose/image-files.ts';
import { postgresImage } from '../../src/homes/compose/images.ts';
import { lineDiff } from '../../src/homes/compose/line-diff.ts';
import { candidates, madeByDbkit, planCompose } from '../../src/homes/compose/plan.ts';
import { serverCommand } from '../../src/homes/compose/server-command.ts';
import { entrypointRows, type ServiceFacts, type Way } from '../../src/homes/compose/ways.ts';

/** A variable of Compose's. */
const variable = (name: string): string => `$${'{'}${name}}`;

test.each([
  ['postgres:16', 'official', 16, false],
  ['postgres:16.4-alpine3.20', 'official', 16, true],
  ['postgres', 'official', null, false],
  ['postgres:latest', 'official', null, false],
  ['docker.io/library/postgres:18-trixie', 'official', 18, false],
  ['registry.local:5000/library/postgres:13', 'official', 13, false],
  ['public.ecr.aws/docker/library/postgres:17', 'official', 17, false],
  ['postgres:16@sha256:0123', 'official', 16, false],
  [`postgres:${variable('PG_VERSION:-15')}-alpine`, 'official', 15, true],
  ['postgres:$PG', 'official', null, false],
  ['postgis/postgis:16-3.4', 'postgis', 16, false],
  ['pgvector/pgvector:pg17', 'pgvector', 17, false],
  ['timescale/timescaledb:2.17.2-pg16', 'timescale', 16, true],
  ['bitnami/postgresql:16', 'bitnami', 16, false],
  ['docker.io/bitnamilegacy/postgresql:17.5.0-debian-12-r8', 'bitnami', 17, false],
])('%s is %s of %s', (image, family, major, alpine) => {
  expect(postgresImage(image)).toEqual({ family, major, alpine });
});

test.each(['redis:7', 'dpage/pgadmin4', 'postgrest/postgrest:v12', 'prometheuscommunity/postgres-exporter'])('%s is none', (image) => {
  expect(postgresImage(image)).toBeUndefined();
});

test.each([
  ['postgres -c max_connections=200 -cwork_mem=8MB --log-statement=all', { max_connections: '200', work_mem: '8MB', log_statement: 'all' }],
  [
    ['postgres', '-c', 'shared_preload_libraries=pg_stat_statements,auto_explain'],
    { shared_preload_libraries: 'pg_stat_statements,auto_explain' },
  ],
  ['-c \'log_line_prefix=%m [%p] \' -c "search_path=a, b"', { log_line_prefix: '%m [%p] ', search_path: 'a, b' }],
  ['postgres', {}],
])('the command %j is settings', (command, settings) => {
  expect(serverCommand(command)).toEqual({ kind: 'settings', settings });
});

test.each([
  ['postgres -c config_file=/etc/postgresql.conf', 'config_file=/etc/postgresql.conf'],
  [`postgres -c max_connections=${variable('MAX')}`, `max_connections=${variable('MAX')}`],
  [['bash', '-c', 'x'], 'bash'],
  ['postgres -p 5433', '-p'],
])('the command %j is a person’s own: %s', (command, word) => {
  expect(serverCommand(command)).toEqual({ kind: 'other', word });
});

const sound: ServiceFacts = {
  image: { family: 'official', major: 16, alpine: false },
  isInBraces: false,
  shares: null,
  hasEntrypoint: false,
  hasBuild: false,
  strangeWord: null,
};
test.each([
  ['compose-bitnami', { image: { family: 'bitnami', major: 16, alpine: false } }],
  ['compose-other-major', { image: { ...sound.image, major: 12 } }],
  ['compose-own-build', { hasBuild: true }],
  ['compose-own-entrypoint', { hasEntrypoint: true }],
  ['compose-own-command', { strangeWord: 'bash' }],
  ['compose-shared', { shares: 'image' }],
  ['compose-in-braces', { isInBraces: true }],
  ['compose-may-be-entrypoint', {}],
] as const)('%s', (id, facts) => {
  expect(entrypointRows.find(({ when }) => when({ ...sound, ...facts }))?.id).toBe(id);
});

const serviceIn = (text: string, name: string): unknown =>
  (parse(text, { merge: true }) as { services: Record<string, unknown> }).services[name];

/** The text after the edit, which is YAML again, and its value. */
async function edited(text: string, way: Way = 'entrypoint') {
  const file = await parseCompose('compose.yaml', text);
  const [candidate] = candidates(file);
  const plan = planCompose(file, candidate!, way);
  if (plan.action === 'tell')
    return { told: plan.because, after: text, settings: {}, warnings: [], value: undefined, service: () => undefined };
  const after = spliced(text, plan.splices);
  return {
    told: undefined,
    after,
    settings: plan.settings,
    warnings: plan.warnings,
    value: parse(after, { merge: true }) as { volumes: unknown },
    service: (name: string): unknown => serviceIn(after, name),
  };
}
const comments = (text: string): string[] => text.match(/#.*/g) ?? [];

const plain = `# The shop.
services:
  app:
    build: .
    depends_on: [db]
  db:
    image: postgres:16 # pinned by Ann
    restart: unless-stopped
    environment:
      POSTGRES_USER: shop
      POSTGRES_PASSWORD: secret # of the team
    volumes:
      # The data.
      - pgdata:/var/lib/postgresql/data   # a volume

    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U shop"]

volumes:
  pgdata:
    # by the backup host
    labels: [keep]
`;

describe('dbkit as the entrypoint', () => {
  test('changes three lines, and every comment stays', async () => {
    const { after } = await edited(plain);
    expect(lineDiff(plain, after).filter((line) => /^[-+]/.test(line))).toEqual([
      '-     image: postgres:16 # pinned by Ann',
      '+     build: ./dbkit # pinned by Ann',
      '+       - dbkit-backups:/var/lib/postgresql-backup',
      '+   dbkit-backups:',
    ]);
    expect(after).toContain(
      '- pgdata:/var/lib/postgresql/data   # a volume\n      - dbkit-backups:/var/lib/postgresql-backup\n\n    healthcheck',
    );
    expect(comments(after)).toEqual(comments(plain));
    expect(madeByDbkit(await parseCompose('compose.yaml', after))).toEqual(['db']);
  });

  test('windows lines stay windows lines', async () => {
    const { after } = await edited(plain.replaceAll('\n', '\r\n'));
    expect(after.replaceAll('\r\n', '')).not.toContain('\n');
  });

  test.each([
    ['long volumes', 'volumes:\n      - type: volume\n        source: pgdata\n        target: /var/lib/postgresql/data\n'],
    ['volumes in brackets', 'volumes: [pgdata:/var/lib/postgresql/data]\n'],
    ['a bind mount', 'volumes:\n    - ./data:/var/lib/postgresql/data\n'],
    [
      'a list of the environment',
      'environment:\n      - POSTGRES_PASSWORD=x\n      - POSTGRES_DB\n    volumes:\n      - d:/var/lib/postgresql/data\n',
    ],
    ['env_file and profiles', 'env_file: [.env.db]\n    profiles: ["db"]\n    volumes:\n      - d:/var/lib/postgresql/data\n'],
    ['the layout of 18', 'volumes:\n      - pgdata:/var/lib/postgresql\n'],
  ])('%s: the backups’ volume comes last, all else stays', async (_style, lines) => {
    const text = `services:\n  db:\n    image: postgres:16\n    ${lines}`;
    const { value, service, warnings } = await edited(text);
    const before = serviceIn(text, 'db') as Record<string, unknown>;
    const { image: _image, ...rest } = before;
    const volumes = [...(before['volumes'] as unknown[]), 'dbkit-backups:/var/lib/postgresql-backup'];
    expect(service('db')).toEqual({ ...rest, build: './dbkit', volumes });
    expect(value?.volumes).toHaveProperty('dbkit-backups');
    expect(warnings).toEqual([]);
  });

  test('without a volume it says that the data has no name, and adds only its own', async () => {
    const { service, warnings } = await edited('services:\n  db:\n    image: postgres:17-alpine');
    expect(service('db')).toEqual({ build: './dbkit', volumes: ['dbkit-backups:/var/lib/postgresql-backup'] });
    expect(warnings).toEqual([expect.stringContaining('no named volume')]);
  });

  test('settings of the command go to dbkit.yaml, and the line becomes a comment', async () => {
    const { after, settings, service } = await edited(
      'services:\n  db:\n    image: postgres:16\n    command:\n      - postgres\n      - -c\n      - max_connections=200 # for the tests\n    ports: ["5432:5432"]\n',
    );
    expect(settings).toEqual({ max_connections: '200' });
    expect(service('db')).not.toHaveProperty('command');
    expect(after).toContain(
      '    # in dbkit/dbkit.yaml now:\n    # command:\n    #   - postgres\n    #   - -c\n    #   - max_connections=200 # for the tests\n    ports:',
    );
    expect(parse(settingsFile(settings))).toEqual({ postgresql: { listenAddresses: '*', settings: { max_connections: '200' } } });
  });

  test('variables of Compose keep their meaning', async () => {
    const { service } = await edited(`services:\n  db:\n    image: postgres:${variable('PG_VERSION:-16')}\n`);
    expect(service('db')).toMatchObject({
      build: { context: './dbkit', args: { POSTGRES_IMAGE: `postgres:${variable('PG_VERSION:-16')}` } },
    });
  });

  const anchored = (users: string): string =>
    `x-pg: &pg\n  image: postgres:15 # here\n  volumes:\n    - d:/var/lib/postgresql/data\nservices:\n${users}volumes: {d: {}}\n`;
  test('a merged map that one service uses is changed where it is written', async () => {
    const { service, after } = await edited(anchored('  db:\n    <<: *pg\n    restart: always\n'));
    expect(service('db')).toEqual({
      build: './dbkit',
      volumes: ['d:/var/lib/postgresql/data', 'dbkit-backups:/var/lib/postgresql-backup'],
      restart: 'always',
    });
    expect(after).toContain('volumes: {d: {}, dbkit-backups: {}}');
  });

  test.each([
    ['a map that two services merge', anchored('  db:\n    <<: *pg\n  test:\n    <<: *pg\n'), /anchor/],
    ['an anchored image', 'services:\n  db:\n    image: &image postgres:16\n', /anchor/],
    ['one line in braces', 'services:\n  db: {image: "postgres:16"}\n', /braces/],
    ['Bitnami’s', 'services:\n  db:\n    image: bitnami/postgresql:16\n', /Bitnami/],
    ['an entrypoint', 'services:\n  db:\n    image: postgres:16\n    entrypoint: [/mine]\n', /entrypoint/],
    ['a command', 'services:\n  db:\n    image: postgres:16\n    command: postgres -c config_file=/x\n', /config_file=\/x/],
  ])('%s is left alone, with the reason', async (_what, text, words) => {
    expect((await edited(text)).told).toMatch(words);
  });
});

describe('dbkit beside', () => {
  test('is a service more, with the connection’s names; what is there stays to the byte', async () => {
    const { after, service } = await edited(plain, 'beside');
    expect(service('db')).toEqual(serviceIn(plain, 'db'));
    expect(service('dbkit')).toEqual({
      build: './dbkit',
      profiles: ['dbkit'],
      environment: { PGHOST: 'db', POSTGRES_USER: 'shop', POSTGRES_PASSWORD: 'secret' },
      volumes: ['dbkit-backups:/var/lib/postgresql-backup'],
    });
    expect(lineDiff(plain, after).filter((line) => line.startsWith('-'))).toEqual([]);
    expect(madeByDbkit(await parseCompose('compose.yaml', after))).toEqual(['dbkit']);
  });

  test('takes lists, secrets, env_file and Bitnami’s names', async () => {
    const { service } = await edited(
      'services:\n  db:\n    image: bitnami/postgresql:16\n    env_file: .env\n    secrets: [pw]\n    environment:\n      - POSTGRESQL_USERNAME=shop\n      - POSTGRESQL_PASSWORD_FILE=/run/secrets/pw\n      - POSTGRESQL_DATABASE\nsecrets:\n  pw: {file: pw}\n',
      'beside',
    );
    expect(service('dbkit')).toMatchObject({
      env_file: '.env',
      secrets: ['pw'],
      environment: { POSTGRES_USER: 'shop', POSTGRES_PASSWORD_FILE: '/run/secrets/pw', POSTGRES_DB: variable('POSTGRESQL_DATABASE') },
    });
  });
});

describe('the Dockerfile', () => {
  const of = (image: string, way: Way) => dockerfile({ service: 'db', image, kind: postgresImage(image)! }, way);
  test.each([
    ['postgres:16', 'entrypoint', /^FROM postgres:16$/m],
    [`postgres:${variable('V')}`, 'entrypoint', /^ARG POSTGRES_IMAGE\nFROM \$POSTGRES_IMAGE$/m],
    ['postgres:16-alpine', 'entrypoint', /node:22-alpine[\s\S]*apk add/],
    ['bitnami/postgresql:16', 'beside', /^FROM docker\.io\/library\/postgres:16$/m],
    ['postgres:16', 'beside', /ENTRYPOINT \["\/opt\/dbkit\/package\/bin\/dbkit-postgres", "beside"\]/],
  ] as const)('%s, %s', (image, way, line) => {
    expect(of(image, way)).toMatch(line);
  });
});

test('a file whose aliases stand for millions of values is refused', async () => {
  const levels = Array.from(
    { length: 11 },
    (_, at) => `a${at + 1}: &a${at + 1} [${Array.from({ length: 9 }, () => `*a${at}`).join(', ')}]`,
  );
  const bomb = ['a0: &a0 [x, x]', ...levels, 'services:', '  db:', '    image: postgres:16', '    labels: *a11', ''].join('\n');
  await expect(parseCompose('compose.yaml', bomb)).rejects.toMatchObject({ code: 'config.invalid' });
});

test('a file that is no YAML is refused with its line', async () => {
  await expect(parseCompose('compose.yaml', 'services:\n  db: [\n')).rejects.toThrow(/compose\.yaml cannot be read/);
});
