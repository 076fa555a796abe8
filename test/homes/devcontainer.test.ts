import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { initView } from '../../src/cli/init.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { editJsonc, parseJsonc } from '../../src/homes/devcontainer/jsonc.ts';
import { ignoring, mountTarget, planMerge, runsDbkit, type Settings } from '../../src/homes/devcontainer/plan.ts';

const read = (name: string): string => readFileSync(new URL(`../../.devcontainer/${name}`, import.meta.url), 'utf8');
const template = await parseJsonc(read('devcontainer.json'), 'the template');
const [dockerfile, nothing] = [read('Dockerfile'), { folder: '', compose: false, dockerfile: undefined }];

/** What merging comes to: each changed setting with its new value. */
function merged(mine: Settings, facts: Partial<Parameters<typeof planMerge>[2]> = {}): Record<string, unknown> {
  const plan = planMerge(mine, template, { ...nothing, ...facts });
  if (plan.action === 'tell') return { told: plan.because };
  const lists = new Map<string, unknown[]>();
  for (const { kind, path, value } of plan.changes) {
    const key = path.join('.');
    lists.set(key, [...(lists.get(key) ?? []), kind === 'append' ? ['append', value] : value]);
  }
  return Object.fromEntries([...lists].map(([key, values]) => [key, values.length === 1 ? values[0] : values]));
}

describe('merging into a devcontainer.json', () => {
  test('whoever has the whole template gets nothing more', () => {
    expect(merged(template, { dockerfile })).toEqual({});
  });

  test.each([
    ['mcr.microsoft.com/devcontainers/typescript-node:22', {}, 'node'],
    ['mcr.microsoft.com/devcontainers/base:bookworm', {}, 'vscode'],
    ['node:22', {}, 'node'],
    ['debian:bookworm', {}, 'postgres'],
    ['debian:bookworm', { remoteUser: 'me' }, 'me'],
    ['debian:bookworm', { remoteUser: 'root' }, 'postgres'],
    ['debian:bookworm', { containerUser: 'she' }, 'she'],
  ])('the image %s (%j) becomes the base, and %s owns the database', (image, mine, user) => {
    const changes = merged({ image, ...mine });
    expect(changes['image']).toMatchObject({ dockerfile: 'Dockerfile', args: { BASE_IMAGE: image, REMOTE_USER: user } });
    expect(changes).not.toHaveProperty('remoteUser');
  });

  test('a .devcontainer.json beside the folder names the Dockerfile in it', () => {
    expect(merged({}, { folder: '.devcontainer' })['build']).toMatchObject({
      dockerfile: '.devcontainer/Dockerfile',
      context: '.devcontainer',
    });
  });

  test.each([
    [{ build: { dockerfile: 'Dockerfile' } }, { dockerfile: 'FROM debian' }, /Dockerfile of the project’s own/],
    [{ dockerFile: 'Dockerfile' }, { dockerfile: undefined }, /Dockerfile of the project’s own/],
    [{ dockerComposeFile: 'compose.yaml' }, { dockerfile: undefined }, /compose file of the project’s own/],
    [{ image: 'debian' }, { compose: true }, /without compose/],
  ])('somebody’s own image is left to him: %j', (mine, facts, because) => {
    expect(merged(mine, facts)).toEqual({ told: expect.stringMatching(because) });
  });

  test.each([
    ['none', undefined, 'dbkit status --wait'],
    ['a line', 'npm run migrate', 'dbkit status --wait && npm run migrate'],
    ['a line of several commands', 'a; b', 'dbkit status --wait && (a; b)'],
    ['words', ['npm', 'start'], { dbkit: 'dbkit status --wait', project: ['npm', 'start'] }],
    ['dbkit’s own', 'dbkit status --wait && x', undefined],
  ])('a postStartCommand that is %s still runs, behind the wait', (_what, mine, expected) => {
    const changes = merged({ ...template, postStartCommand: mine }, { dockerfile });
    expect(changes['postStartCommand']).toEqual(expected);
  });

  test('hooks by name get one more', () => {
    expect(merged({ ...template, initializeCommand: { mine: 'x' } }, { dockerfile })).toEqual({
      'initializeCommand.dbkit': 'mkdir -p .DB_data .DB_logs .DB_backups',
    });
  });

  test('what a person chose stays, but an overridden ENTRYPOINT must go', () => {
    const mine = { ...template, init: true, shutdownAction: 'none', remoteUser: 'me', waitFor: 'postCreateCommand', overrideCommand: true };
    expect(merged(mine, { dockerfile })).toEqual({ overrideCommand: false });
  });

  test('mounts are told apart by their targets, ports by their numbers', () => {
    const mine = { ...template, mounts: [{ type: 'volume', source: 'x', target: '/var/log/postgresql' }], forwardPorts: ['5432', 3000] };
    const changes = merged(mine, { dockerfile });
    expect(Object.keys(changes)).toEqual(['mounts']);
    expect((changes['mounts'] as [string, unknown][]).map(([, mount]) => mountTarget(mount))).toEqual([
      '/var/lib/postgresql-data',
      '/var/lib/postgresql-backup',
    ]);
  });
});

test.each([
  ['ENTRYPOINT ["tini", "--", "dbkit", "entrypoint", "--"]', true],
  ['ENTRYPOINT ["dbkit-init"]', true],
  ['ENTRYPOINT ["docker-entrypoint.sh"]', false],
  ['RUN npm install -g dbkit', false],
])('%s: does it run dbkit? %s', (line, expected) => {
  expect(runsDbkit(`FROM x\n${line}\n`)).toBe(expected);
});

test.each([
  [undefined, '.DB_*/\n'],
  ['node_modules', 'node_modules\n.DB_*/\n'],
  ['a\n/.DB_*/\nb\n', undefined],
])('a .gitignore of %j leaves the data out', (text, expected) => {
  expect(ignoring(text)).toBe(expected);
});

test('whoever gets a database into a project is told what takes its backups', async () => {
  const written = { outcome: 'written', files: [], changes: [], because: null, add: null } as const;
  expect(initView(written, await createStyle(false))).toContain('data and backups; `git clean -fdx` removes both, and `copies`');
});

describe('JSON with comments', () => {
  const text = `// top
{
\t"image": "x", // pinned
\t/* list */ "mounts": [
\t\t"a", // first
\t],
\t"ports": [1], "object": { "a": 1 },
\t// the end
}
`;
  const because = '';

  test('keeps every comment through additions, appends and replacements', async () => {
    const edited = await editJsonc(text, [
      { kind: 'replace', path: ['image'], from: 'x', key: 'build', value: { a: 1 }, because },
      { kind: 'append', path: ['mounts'], value: 'b', because },
      { kind: 'append', path: ['ports'], value: 2, because },
      { kind: 'add', path: ['object', 'b'], value: 2, because },
      { kind: 'add', path: ['last'], value: true, because },
    ]);
    expect(await parseJsonc(edited, 'x')).toEqual({
      build: { a: 1 },
      mounts: ['a', 'b'],
      ports: [1, 2],
      object: { a: 1, b: 2 },
      last: true,
    });
    const comments = (all: string): string[] => all.match(/\/\/.*|\/\*.*?\*\//g) ?? [];
    expect(comments(edited)).toEqual(comments(text));
    expect(edited).toContain('"a", // first\n\t\t"b"\n');
    expect(edited).toContain('// the end\n\t"last": true\n}');
  });

  test.each([
    ['{}', '{\n  "a": 1\n}'],
    ['{ "b": 2 }', '{ "b": 2,\n  "a": 1\n}'],
    ['{\n    "b": 2 // why\n}', '{\n    "b": 2, // why\n    "a": 1\n}'],
  ])('%j gets a setting', async (before, after) => {
    expect(await editJsonc(before, [{ kind: 'add', path: ['a'], value: 1, because }])).toBe(after);
  });

  test.each([
    ['{\n"a": }', /line 2/],
    ['[]', /holds no settings/],
  ])('%j is refused', async (broken, why) => {
    await expect(parseJsonc(broken, 'devcontainer.json')).rejects.toMatchObject({
      code: 'config.invalid',
      message: expect.stringMatching(why),
    });
  });
});

interface ComposeService {
  readonly build: { readonly args: Settings };
  readonly volumes: readonly string[];
}

test('the variant with compose mounts, waits and stops as the other one does', async () => {
  const { services } = parseYaml(read('compose.yaml')) as { services: { workspace: ComposeService } };
  const composed = await parseJsonc(read('compose/devcontainer.json'), 'the variant');
  const { build, mounts, overrideCommand, postStartCommand, initializeCommand, waitFor, remoteUser } = template;
  expect(composed).toMatchObject({ overrideCommand, postStartCommand, initializeCommand, waitFor, remoteUser, service: 'workspace' });
  expect(services.workspace.build.args).toEqual((build as Settings)['args']);
  const targets = services.workspace.volumes.map((volume) => volume.split(':')[1]);
  expect(targets).toEqual([composed['workspaceFolder'], ...(mounts as readonly unknown[]).map(mountTarget)]);
  expect(dockerfile, 'the image brings the health check for both').toMatch(/^HEALTHCHECK .*"status", "--wait", "--timeout", "3"\]$/m);
});
