import { execFile } from 'node:child_process';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { crash, truncateTo } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { mountVolume, needsMounts } from '../harness/mount.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectRowsOfTheBackup, takeBackup } from './take-backup.ts';
import { expectStopped, quarantined } from './verdict.ts';

const ADDED = 10;
const class_ = { section: 'C', detectedBefore: true, needs: needsMounts, from: 'template' } as const;

/** Mounts a file over one of PGDATA's, as a container's configuration is. */
async function mountFile({ root, dataDir, beforeRemoval }: Instance, name: string): Promise<void> {
  const mine = join(root, `my-${name}`);
  await copyFile(join(dataDir, name), mine);
  await ownedBy(mine, serverUser);
  await promisify(execFile)('mount', ['--bind', mine, join(dataDir, name)]);
  beforeRemoval(async () => void (await promisify(execFile)('umount', ['--lazy', join(dataDir, name)])));
}

scenario(
  {
    ...class_,
    name: 'pg_control is empty after a crash, pg_wal and postgresql.conf are mount points, and there is a backup',
    healedBy: 'restore',
    rowsLost: 'none: the WAL’s volume is emptied and filled, and the mounted file stays',
  },
  async (instance) => {
    await mountVolume(instance, 'size=200m', join(instance.dataDir, 'pg_wal'));
    await mountFile(instance, 'postgresql.conf');
    const running = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, ADDED);
    await crash(instance, running);
    await truncateTo(instance, 'global/pg_control', 0);
    const restored = await boot(instance);
    await expectAllRows(instance, ADDED);
    expect(await quarantined(instance)).toHaveLength(1);
    await expectStopped(instance, await restored.stop());

    const undone = await boot(instance);
    const there = await run(instance, ['backup', 'restore', 'latest', '--yes']);
    expect(there, there.stderr).toMatchObject({ code: 0 });
    await expectRowsOfTheBackup(instance);
    const back = await run(instance, ['backup', 'undo', '--yes']);
    expect(back, back.stderr).toMatchObject({ code: 0 });
    await expectAllRows(instance, ADDED);
    await expectStopped(instance, await undone.stop());
  },
);

scenario(
  {
    ...class_,
    name: 'a restore is asked for, and the directory of a database is a mount point',
    healedBy: 'refusal',
    rowsLost: 'none: it is refused by name before anything is moved',
  },
  async (instance) => {
    await mountVolume(instance, 'size=100m', join(instance.dataDir, 'base/1'));
    const running = await boot(instance);
    await takeBackup(instance);
    const refused = await run(instance, ['backup', 'restore', 'latest', '--yes']);
    expect(refused, refused.stderr).toMatchObject({ code: 77 });
    expect(refused.stderr).toContain('base/1 is a mount point');
    await expectAllRows(instance, 0);
    await crash(instance, running);
    await truncateTo(instance, 'global/pg_control', 0);
    const ended = await run(instance, ['entrypoint']);
    expect(ended, ended.stderr).toMatchObject({ code: 77 });
    expect(await readFile(join(instance.dataDir, 'PG_VERSION'), 'utf8'), 'nothing was moved').toBe(`${instance.programs.major}\n`);
  },
);
