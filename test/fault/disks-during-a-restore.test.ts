import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { mountVolume, needsMounts } from '../harness/mount.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const mount = (...args: string[]) => promisify(execFile)('mount', args);
const listed = async (instance: Instance): Promise<readonly { label: string; state: string }[]> => {
  const { stdout } = await run(instance, ['backup', 'list', '--json']);
  return (JSON.parse(stdout) as { report: { backups: { label: string; state: string }[] } }).report.backups;
};

scenario(
  {
    name: 'the volume fills up while a restore is staged',
    section: 'A',
    detectedBefore: false,
    healedBy: 'refusal',
    rowsLost: 'none',
    needs: needsMounts,
    from: 'template',
  },
  async (instance) => {
    await mountVolume(instance, 'size=420m');
    const running = await boot(instance);
    await ask(
      instance,
      'app',
      'CREATE TABLE bulk AS SELECT repeat(md5(i::text), 60) AS filler FROM generate_series(1, 70000) i',
      'CHECKPOINT',
    );
    await takeBackup(instance);
    const [backup] = await listed(instance);
    const record = join(instance.backupDir, `${backup!.label}.json`);
    await writeFile(record, (await readFile(record, 'utf8')).replace(/"sizeBytes":\d+/, '"sizeBytes":1')); // So that no plan can foresee it.
    const ended = await run(instance, ['backup', 'restore', 'latest', '--yes', '--no-boot-test']);
    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 69, stderr: expect.stringMatching(/full[\s\S]*HINT: /) });
    expect(await readdir(join(instance.dataDir, '.dbkit')), 'what was staged is gone').not.toContain('staged');
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'the repository is mounted read-only: backups are listed, verified, opened and restored all the same',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    needs: needsMounts,
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 10);
    await mount('--bind', instance.backupDir, instance.backupDir);
    instance.beforeRemoval(() => promisify(execFile)('umount', ['--lazy', instance.backupDir]).then(() => undefined));
    await mount('-o', 'remount,bind,ro', instance.backupDir);
    expect((await listed(instance)).map(({ state }) => state)).toEqual(['good']);
    expect(await run(instance, ['backup', 'verify'])).toMatchObject({ code: 0, stderr: expect.stringContaining('could not be recorded') });
    expect(await run(instance, ['backup', 'open', 'latest', '--', 'true'])).toMatchObject({ code: 0 });
    const refused = await run(instance, ['backup', 'create']);
    expect(refused, refused.stderr).toMatchObject({ code: 69, stderr: expect.stringMatching(/read-only[\s\S]*HINT: /) });
    const restored = await run(instance, ['backup', 'restore', 'latest', '--yes']);
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    await expectAllRows(instance, 0);
    expect(await run(instance, ['backup', 'undo', '--yes'])).toMatchObject({ code: 0 });
    await expectAllRows(instance, 10);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'the repository is gone',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    const env = { BACKUP_DIR: join(instance.root, 'nowhere') };
    expect(await run(instance, ['backup', 'list'], { env })).toMatchObject({ code: 0, stdout: expect.stringContaining('no backups yet') });
    expect(await run(instance, ['backup', 'restore', 'latest', '--yes'], { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no backup yet'),
    });
    await expectAllRows(instance, 0);
    expect(await run(instance, ['backup', 'create'], { env })).toMatchObject({ code: 0 });
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'a backup is taken while another is restored',
    section: 'A',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 10);
    const [restored, taken] = await Promise.all([
      run(instance, ['backup', 'restore', 'latest', '--yes']),
      run(instance, ['backup', 'create', '--full']),
    ]);
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    expect([0, 1, 69, 75], taken.stderr).toContain(taken.code); // Its server may be stopped under it; then it leaves nothing.
    expect(taken.stderr).not.toMatch(/bug in dbkit/);
    await expectAllRows(instance, 0);
    expect(await listed(instance)).toHaveLength(taken.code === 0 ? 2 : 1);
    await takeBackup(instance);
    const verified = await run(instance, ['backup', 'verify', '--all', '--deep']);
    expect(verified, verified.stdout).toMatchObject({ code: 0 });
    await expectStopped(instance, await running.stop());
  },
);
