import { chmod, mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RetentionDecision } from '../../src/backups/backup.ts';
import { serverUser } from '../harness/as-user.ts';
import { boot, type Ended, run, start } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { fillSpace, mountVolume, needsMounts } from '../harness/mount.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';

const ok = async (instance: Instance, ...words: string[]): Promise<Ended> => {
  const ended = await run(instance, words);
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};
const withCopy = (instance: Instance, path: string): Promise<void> =>
  configure(instance, { maxBackups: 1, copies: { nas: { type: 'directory', path } } });

async function reasons(instance: Instance): Promise<string[]> {
  const { stdout } = await ok(instance, 'backup', 'cleanup', '--dry-run', '--json');
  return (JSON.parse(stdout) as { report: { decisions: RetentionDecision[] } }).report.decisions.map(({ reason }) => reason);
}

/** Only the configuration and the place of the copies are left; every row comes back from there. */
async function expectBackFrom(instance: Instance, added: number): Promise<void> {
  for (const dir of [instance.dataDir, instance.backupDir, instance.stateDir]) await rm(dir, { recursive: true });
  await makeDirectory(instance.dataDir, serverUser, 0o700);
  await mkdir(instance.backupDir);
  await ok(instance, 'backup', 'restore', 'latest', '--from', 'nas', '--yes');
  const back = await boot(instance);
  await expectAllRows(instance, added);
  expect((await back.stop()).code).toBe(0);
}

scenario(
  {
    name: 'the place of the copies is not mounted, then may not be written: nothing expires here until it has what it missed',
    section: 'A',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const place = join(instance.root, 'nas');
    await withCopy(instance, place);
    const running = await boot(instance);
    expect((await ok(instance, 'backup', 'create')).stderr).toMatch(/could not be copied to nas: .*nas is not there/);
    await makeDirectory(place, serverUser, 0o700);
    await chmod(place, 0o500);
    await addRows(instance, known.ledger + 1, 5);
    expect((await ok(instance, 'backup', 'create')).stderr).toMatch(/could not be copied to nas/);
    expect(await reasons(instance)).toEqual(['newest-good', 'awaits-its-copy']);
    const health = await run(instance, ['health', '--probe', 'copies', '--strict']);
    expect(health).toMatchObject({ code: 1, stdout: expect.stringMatching(/nothing could be copied/) });

    await chmod(place, 0o700);
    await addRows(instance, known.ledger + 6, 5);
    await ok(instance, 'backup', 'create');
    const listed = await ok(instance, 'backup', 'list', '--copy', 'nas', '--json');
    expect((JSON.parse(listed.stdout) as { report: { backups: object[] } }).report.backups).toHaveLength(3);
    expect((await ok(instance, 'health', '--probe', 'copies', '--strict')).stdout).toMatch(/nas has data_\d+_\d+, .* old, verified/);
    await ok(instance, 'backup', 'cleanup');
    expect(await reasons(instance)).toEqual(['newest-good']);
    const seen = await ok(instance, 'copies', '--json');
    expect(JSON.parse(seen.stdout)).toMatchObject({
      report: { ok: false, score: { copies: 3 }, places: [{}, { backups: 1 }, { name: 'nas', backups: 3 }] },
    });

    // One object of it is cut off, another swapped: told, and judged critical, until it is whole again.
    const packs = join(place, 'v1', (await readdir(join(place, 'v1')))[0]!, 'packs');
    const [one, other] = (await readdir(packs)).map((name) => join(packs, name));
    const whole = await readFile(one!);
    await truncate(one!, 100);
    expect((await run(instance, ['backup', 'verify', '--copy', 'nas'])).code).toBe(65);
    expect(await run(instance, ['health', '--probe', 'copies'])).toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/is damaged there/),
    });
    await writeFile(one!, await readFile(other!));
    expect((await run(instance, ['backup', 'verify', '--copy', 'nas'])).code).toBe(65);
    await writeFile(one!, whole);
    await ok(instance, 'backup', 'verify', '--copy', 'nas');
    await ok(instance, 'health', '--probe', 'copies');
    await expectAllRows(instance, 10);
    expect((await running.stop()).code).toBe(0);
    await expectBackFrom(instance, 10);
  },
);

scenario(
  {
    name: 'dbkit is killed while it copies a backup elsewhere, and the place then goes away in the middle',
    section: 'A',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const place = join(instance.root, 'nas');
    await makeDirectory(place, serverUser, 0o700);
    const running = await boot(instance);
    await addRows(instance, known.ledger + 1, 5);
    await ok(instance, 'backup', 'create');
    await withCopy(instance, place);
    const somethingIsThere = async (): Promise<boolean> =>
      (await readdir(place, { recursive: true })).some((name) => name.includes('packs/'));
    const killed = start(instance, ['backup', 'copy']);
    await until(somethingIsThere, () => `nothing is copied:\n${killed.words()}`);
    await killed.stop('SIGKILL');

    const cut = start(instance, ['backup', 'copy']);
    await rename(place, `${place}.gone`);
    expect([0, 69]).toContain((await cut.ended).code);
    await rename(`${place}.gone`, place);
    await ok(instance, 'backup', 'copy');
    await ok(instance, 'backup', 'verify', '--copy', 'nas');
    expect((await running.stop()).code).toBe(0);
    await expectBackFrom(instance, 5);
  },
);

scenario(
  {
    name: 'the place of the copies is full: the backup here stands and stays, and is copied when there is room',
    section: 'A',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
    needs: needsMounts,
  },
  async (instance) => {
    const place = join(instance.root, 'nas');
    await mountVolume(instance, 'size=200m', place);
    await withCopy(instance, place);
    const running = await boot(instance);
    await fillSpace(instance, place);
    await addRows(instance, known.ledger + 1, 5);
    expect((await ok(instance, 'backup', 'create')).stderr).toMatch(/could not be copied to nas/);
    await ok(instance, 'backup', 'create', '--full');
    expect(await reasons(instance)).toEqual(['newest-good', 'awaits-its-copy']);
    await rm(join(place, 'lost+found'), { recursive: true });
    await ok(instance, 'backup', 'create', '--full');
    await ok(instance, 'backup', 'verify', '--copy', 'nas');
    await ok(instance, 'backup', 'cleanup');
    expect(await reasons(instance)).toEqual(['newest-good']);
    expect((await running.stop()).code).toBe(0);
    await expectBackFrom(instance, 5);
  },
);
