import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { IMAGE } from './image.ts';
import { type Ran, run } from './tools.ts';

const feature = fileURLToPath(new URL('../../deploy/feature/src/dbkit', import.meta.url));

/**
 * install.sh on another distribution's /etc/os-release, with stand-ins for its package manager and npm that say what they are asked for: images
 * of these distributions cannot be had everywhere. Debian's way is taken for real where the Feature is used.
 */
async function install(
  release: string,
  options: Readonly<Record<string, string>> = {},
  stubs: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-install-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'os-release'), release);
  const all = { apk: 'echo "apk $*"', dnf: 'echo "dnf $*"', npm: 'echo "npm $*"', ...stubs };
  for (const [name, script] of Object.entries(all)) {
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, name), 0o755);
  }
  const mounts = [
    `${feature}:/feature:ro`,
    `${folder}/os-release:/etc/os-release:ro`,
    ...Object.keys(all).map((name) => `${folder}/${name}:/usr/local/bin/${name}:ro`),
  ];
  const env = Object.entries({ _REMOTE_USER: 'node', ...options }).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const script =
    'sh /feature/install.sh && cat /etc/dbkit/dbkit.yaml && su node -c "dbkit config check" && sh -c ". /etc/profile.d/dbkit.sh; env"';
  return run('podman', [
    'run',
    '--rm',
    ...mounts.flatMap((mount) => ['--volume', mount]),
    ...env,
    '--env',
    'PGUSER=',
    '--env',
    'PGDATABASE=',
    '--entrypoint=sh',
    IMAGE,
    '-c',
    script,
  ]);
}

const alpine = 'ID=alpine\nVERSION_ID=3.22.0\n';
const fedora = 'ID=fedora\nVERSION="40 (Container Image)"\n';

test.each([
  ['Alpine', alpine, {}, ['apk add --no-cache postgresql postgresql-client', 'npm install --global --no-audit --no-fund dbkit@latest']],
  ['Alpine, a major', alpine, { POSTGRESVERSION: '16' }, ['apk add --no-cache postgresql16 postgresql16-client']],
  ['Fedora', fedora, {}, ['dnf install -y --setopt=install_weak_deps=False postgresql-server postgresql']],
  [
    'what derives from Fedora',
    'ID=rocky\nID_LIKE="rhel fedora"\n',
    {},
    ['dnf install -y --setopt=install_weak_deps=False util-linux procps-ng'],
  ],
  ['a version of dbkit', alpine, { VERSION: '1.2.3' }, ['npm install --global --no-audit --no-fund dbkit@1.2.3']],
  ['a package', alpine, { VERSION: '/somewhere/dbkit.tgz' }, ['npm install --global --no-audit --no-fund /somewhere/dbkit.tgz']],
])('%s', async (_what, release, options, asked) => {
  const { code, stdout, stderr } = await install(release, options);
  expect(code, stderr).toBe(0);
  for (const line of asked) expect(stdout.split('\n')).toContain(line);
});

test('Fedora’s default major has no number in its name', async () => {
  const dnf = 'echo "dnf $*"; case $* in *postgresql16*) exit 1 ;; esac';
  const found = await install(fedora, { POSTGRESVERSION: '16' }, { dnf, postgres: 'echo "postgres (PostgreSQL) 16.3"' });
  expect(found).toMatchObject({ code: 0, stdout: expect.stringContaining('postgresql-server postgresql\n') });
  const other = await install(fedora, { POSTGRESVERSION: '16' }, { dnf, postgres: 'echo "postgres (PostgreSQL) 17.1"' });
  expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('this base has no PostgreSQL 16') });
});

test('options reach the configuration, which dbkit understands', async () => {
  const { code, stdout, stderr } = await install(alpine, {
    USERNAME: 'shop',
    DATABASE: 'orders',
    PORT: '6000',
    AUTOBACKUP: 'false',
    MONITOR: 'true',
  });
  expect(code, stderr).toBe(0);
  for (const line of [
    'user: node',
    'username: "shop"',
    'database: "orders"',
    'port: 6000',
    'onFail: hold',
    'afterStart: false',
    'enabled: true',
  ])
    expect(stdout).toContain(line);
  expect(stdout).toMatch(/^PGUSER=shop$/m);
  expect(stdout).toMatch(/^PGDATABASE=orders$/m);
});

test.each([
  [{ USERNAME: 'a"\nuser: root' }, /is not a name/],
  [{ PORT: '5432; rm' }, /is not a port/],
  [{ AUTOBACKUP: 'perhaps' }, /are true or false/],
])('%j is refused before anything is installed', async (options, why) => {
  const { code, stdout, stderr } = await install(alpine, options);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(why);
});

test('another base is refused', async () => {
  expect(await install('ID=arch\n')).toMatchObject({ code: 1, stderr: expect.stringMatching(/neither Debian.*\(arch/) });
});
