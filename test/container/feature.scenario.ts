import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { program } from './image.ts';
import { must, note, podman, run, until } from './tools.ts';
import { type Workspace, workspace } from './workspace.ts';

const sources = fileURLToPath(new URL('../../deploy/feature', import.meta.url));
const BASE = 'node:22-bookworm';

/** The Feature with this checkout's dbkit beside its install.sh; the tools would look its predecessors up in their registry, even unused. */
async function stage(feature: string): Promise<void> {
  await cp(join(sources, 'src/dbkit'), feature, { recursive: true });
  const manifest = join(feature, 'devcontainer-feature.json');
  const { installsAfter: _predecessors, ...rest } = JSON.parse(await readFile(manifest, 'utf8')) as Record<string, unknown>;
  await writeFile(manifest, JSON.stringify(rest));
  const aside = await mkdtemp(join(tmpdir(), 'dbkit-package-'));
  await must(process.execPath, [program, 'init', 'devcontainer'], { cwd: aside });
  await cp(join(aside, '.devcontainer/dbkit.tgz'), join(feature, 'dbkit.tgz'));
  await rm(aside, { recursive: true });
}

/** Another Feature, whose entrypoint is the usual kind: it starts something and returns. */
async function neighbour(folder: string, id: string): Promise<void> {
  await mkdir(join(folder, id));
  const manifest = { id, version: '1.0.0', name: id, entrypoint: `/usr/local/bin/${id}.sh` };
  await writeFile(join(folder, id, 'devcontainer-feature.json'), JSON.stringify(manifest));
  const script = `#!/bin/sh\necho ${id} > /tmp/${id}\nsleep infinity &\nexec "$@"\n`;
  await writeFile(
    join(folder, id, 'install.sh'),
    `#!/bin/sh\ncat >/usr/local/bin/${id}.sh <<'END'\n${script}END\nchmod 755 /usr/local/bin/${id}.sh\n`,
  );
}

/** A project that uses the Feature, and nothing of the template. */
async function project(config: object, dockerfile?: string): Promise<Workspace> {
  const made = await workspace(async (root, port) => {
    const folder = join(root, '.devcontainer');
    await rm(folder, { recursive: true });
    await mkdir(folder);
    await stage(join(folder, 'dbkit'));
    for (const id of ['before', 'after']) await neighbour(folder, id);
    if (dockerfile !== undefined) await writeFile(join(folder, 'Dockerfile'), dockerfile);
    const base = dockerfile === undefined ? { image: BASE } : { build: { dockerfile: 'Dockerfile' } };
    const all = { ...base, remoteUser: 'node', features: { './dbkit': { port: String(port) } }, ...config };
    await writeFile(join(folder, 'devcontainer.json'), JSON.stringify(all).replaceAll('"PORT"', `"${port}"`));
  });
  onTestFinished(() => made.end());
  return made;
}

const psql = (shop: Workspace, statement: string) => shop.exec('psql', '-qtAXc', statement);
const serverLog = async (shop: Workspace): Promise<string> =>
  (await podman('exec', shop.id(), 'cat', '/var/log/postgresql/postgresql.log')).stdout;

/** Rows, a stop that is told to PID 1, and the next start: nothing was killed. */
async function expectCleanStops(shop: Workspace): Promise<void> {
  expect(await shop.up()).toMatchObject({ outcome: 'success' });
  expect(await psql(shop, 'CREATE TABLE ledger AS SELECT generate_series(1, 1000) AS id')).toMatchObject({ code: 0 });
  const stop = await shop.stop();
  note('stop', `${stop.ms} ms, exit ${stop.exit}`);
  expect(stop.ms).toBeLessThan(3000);
  expect(await shop.up()).toMatchObject({ outcome: 'success' });
  expect((await psql(shop, 'SELECT count(*) FROM ledger')).stdout.trim()).toBe('1000');
  const log = await serverLog(shop);
  expect(log).toMatch(/database system is shut down/);
  expect(log).not.toMatch(/not properly shut down/);
}

describe('the Feature stops the database cleanly', () => {
  test('on an image of its own, with the command overridden as is the default; SIGTERM and Ctrl-C', async () => {
    const shop = await project({});
    await expectCleanStops(shop);
    await podman('kill', '--signal=INT', shop.id());
    await until(
      'the container has ended',
      async () => (await podman('inspect', '--format={{.State.Running}}', shop.id())).stdout.trim() === 'false',
    );
    expect((await podman('inspect', '--format={{.State.ExitCode}}', shop.id())).stdout.trim()).toBe('0');
    expect(await shop.up()).toMatchObject({ outcome: 'success' });
    expect(await serverLog(shop)).not.toMatch(/not properly shut down/);
  });

  test('between two other Features with an entrypoint, where sh is bash', async () => {
    const features = { './before': {}, './dbkit': { port: 'PORT' }, './after': {} };
    const shop = await project(
      { features, overrideFeatureInstallOrder: ['./before', './dbkit', './after'] },
      `FROM ${BASE}\nRUN ln -sf bash /bin/sh\n`,
    );
    await expectCleanStops(shop);
    expect(await shop.exec('cat', '/tmp/before', '/tmp/after')).toMatchObject({ code: 0, stdout: expect.stringMatching(/before\s+after/) });
  });

  test('around the command of an image, whose status is the container’s', async () => {
    const shop = await project(
      { overrideCommand: false },
      `FROM ${BASE}\nENTRYPOINT ["sh", "-c", "trap 'exit 7' TERM; while sleep 1 & wait $!; do :; done"]\n`,
    );
    await expectCleanStops(shop);
    expect(await shop.stop()).toMatchObject({ exit: 7 });
  });

  test('where dbkit cannot begin the container stays, and says why', async () => {
    const shop = await project({ containerEnv: { PGDATA: '/var/lib/postgresql-data', DBKIT_STOP_SECONDS: 'never' } });
    const up = await shop.up();
    expect(up.outcome).toBe('error'); // The hook that waits for the database.
    const { stderr } = await podman('logs', shop.id());
    note('told', stderr.trim().split('\n').join(' | '));
    expect(stderr).toMatch(/stopSeconds: expected a number[\s\S]*the container stays/);
    expect(await podman('exec', shop.id(), 'true')).toMatchObject({ code: 0 });
    expect((await shop.stop()).ms).toBeLessThan(3000);
  });
});

test('its own tests, as `devcontainer features test` runs them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-feature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(join(sources, 'test'), join(folder, 'test'), { recursive: true });
  await mkdir(join(folder, 'src'));
  await stage(join(folder, 'src/dbkit'));
  const ran = await run('devcontainer', ['features', 'test', '--project-folder', folder, '--base-image', BASE, '--features', 'dbkit']);
  note('features test', `${ran.ms} ms, status ${ran.code}`);
  expect(ran.stdout + ran.stderr).toMatch(/Test Passed/);
  expect(ran.code, ran.stdout + ran.stderr).toBe(0);
});
