import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, statfs, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { MonitorCheck } from '../../src/monitor/check.ts';
import { serverUser } from '../harness/as-user.ts';
import { crash } from '../harness/breaking.ts';
import { boot, readStatus, run, start } from '../harness/dbkit.ts';
import { copyTree, makeDirectory, ownedBy } from '../harness/files.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { needsMounts } from '../harness/mount.ts';
import { until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { isLongTier } from '../harness/tier.ts';

const [programs] = installed;
const MIB = 1024 * 1024;

/** Data, logs and backups together on one small volume, as on a small machine. */
async function onOneVolume(size: string): Promise<Instance & { readonly volume: string }> {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const volume = join(instance.root, 'volume');
  await makeDirectory(volume, serverUser);
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0755`, 'dbkit-test', volume]);
  instance.beforeRemoval(async () => void (await promisify(execFile)('umount', ['--lazy', volume])));
  const [dataDir, logDir, backupDir] = [join(volume, 'data'), join(volume, 'logs'), join(volume, 'backups')];
  await copyTree(instance.dataDir, dataDir);
  for (const path of [logDir, backupDir]) await makeDirectory(path, serverUser);
  const env = { ...instance.env, PGDATA: dataDir, LOG_DIR: logDir, BACKUP_DIR: backupDir };
  return { ...instance, dataDir, logDir, backupDir, env, volume };
}

/** A log that nobody has written to for 40 days, which the rules (30 days) no longer keep. */
async function oldLog({ logDir }: Instance, sizeMiB: number): Promise<string> {
  const path = join(logDir, 'postgresql.log.1');
  await writeFile(path, Buffer.alloc(sizeMiB * MIB));
  await ownedBy(path, serverUser);
  const then = Date.now() / 1000 - 40 * 86_400;
  await utimes(path, then, then);
  return path;
}
async function fill(volume: string, owner: string): Promise<string> {
  const { bavail, bsize } = await statfs(volume);
  const path = join(volume, owner);
  await writeFile(path, Buffer.alloc(bavail * bsize - 16 * 1024));
  return path;
}
const labels = async ({ backupDir }: Instance): Promise<string[]> =>
  (await readdir(backupDir)).filter((name) => /^data_\d+_\d+$/.test(name)).sort();
const walOf = async ({ dataDir }: Instance): Promise<string[]> =>
  (await readdir(join(dataDir, 'pg_wal'))).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();

test.skipIf(needsMounts())('a crash on a full volume: recover removes expired backups and old logs first, and no WAL', async () => {
  const instance = await onOneVolume('600m');
  const config = { monitor: { maxFailures: 1, cooldownSeconds: 0 }, health: { timeoutSeconds: 1 } };
  await configure(instance, config);
  const running = await boot(instance);
  for (let round = 0; round < 2; round += 1) expect((await run(instance, ['backup', 'create', '--full'])).code).toBe(0);
  const before = await labels(instance);
  expect(before).toHaveLength(2);
  await addRows(instance, known.ledger + 1, 10);
  await crash(instance, running);
  await configure(instance, { ...config, maxBackups: 1 }); // The older one is kept no longer.
  const log = await oldLog(instance, 20);
  const others = join(instance.logDir, 'application.log');
  await writeFile(others, 'somebody else’s');
  await fill(instance.volume, 'somebody-elses');
  const wal = await walOf(instance);

  const dry = await run(instance, ['recover', '--dry-run']);
  expect(dry.code, dry.stderr).toBe(0);
  expect([existsSync(log), await labels(instance)], 'a plan removes nothing').toEqual([true, before]);

  const recovered = await run(instance, ['recover', '--yes']);
  expect(recovered, recovered.stderr).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/is 100 % full: what dbkit need not keep there is removed first/),
  });
  expect(recovered.stderr).toMatch(/[Rr]emoved backup data_/);
  expect([existsSync(log), existsSync(others), existsSync(join(instance.volume, 'somebody-elses'))]).toEqual([false, true, true]);
  expect(await labels(instance), 'the newest good one always stays').toEqual(before.slice(-1));
  expect(await walOf(instance), 'WAL is PostgreSQL’s').toEqual(wal);
  const again = await boot(instance);
  await expectAllRows(instance, 10);
  await again.stop();
});

test.skipIf(!isLongTier || needsMounts())(
  'the monitor’s recovery makes room too; where there is nothing to remove it says that the volume is full',
  async () => {
    const instance = await onOneVolume('250m');
    await configure(instance, { monitor: { maxFailures: 1, cooldownSeconds: 0, startCommand: ['true'] }, health: { timeoutSeconds: 1 } });
    const running = await boot(instance);
    await addRows(instance, known.ledger + 1, 10);
    await crash(instance, running);
    await fill(instance.volume, 'somebody-elses');
    const once = async (): Promise<MonitorCheck> =>
      (JSON.parse((await run(instance, ['monitor', '--once', '--json'])).stdout) as { report: MonitorCheck }).report;
    expect((await once()).recovery).toMatchObject({ ok: false, words: expect.stringMatching(/the volume of .* is full/) });
    expect((await walOf(instance)).length).toBeGreaterThan(0);
    await promisify(execFile)('rm', [join(instance.volume, 'somebody-elses')]);
    const log = await oldLog(instance, 40);
    await fill(instance.volume, 'somebody-elses');
    await configure(instance, { monitor: { maxFailures: 1, cooldownSeconds: 0 }, health: { timeoutSeconds: 1 } });
    expect((await once()).recovery).toMatchObject({ ok: true });
    expect(existsSync(log)).toBe(false);
    await expectAllRows(instance, 10);
    await run(instance, ['down', '--for', '1s']);
  },
);

test.skipIf(!isLongTier || needsMounts())(
  'a container that is held as its volume is full goes on after `dbkit recover`, which makes room',
  async () => {
    const instance = await onOneVolume('250m');
    await configure(instance, {});
    const log = await oldLog(instance, 40);
    await fill(instance.volume, 'somebody-elses');
    const held = start(instance, ['entrypoint'], { env: { DBKIT_ON_FAIL: 'hold', CI: undefined } });
    await until(
      async () => (await readStatus(instance))?.services[0]?.state === 'held',
      () => held.words(),
    );
    expect((await readStatus(instance))?.services[0]?.failure).toMatchObject({ code: 'volume.full' });
    const recovered = await run(instance, ['recover', '--yes']);
    expect(recovered, recovered.stderr).toMatchObject({ code: 0 });
    expect(existsSync(log)).toBe(false);
    expect((await readStatus(instance))?.services[0]?.state).toBe('ready');
    await expectAllRows(instance, 0);
    expect((await held.stop()).code).toBe(0);
  },
);
