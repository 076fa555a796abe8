import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { CopiedBackup } from '../../src/backups/offsite/copies.ts';
import type { ConfigInput } from '../../src/config/config.ts';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { configure, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { fakeS3 } from '../harness/s3.ts';
import { untilKept } from '../wal/kept.ts';

const [programs] = installed;

test('from an encrypted bucket on a blank machine: every row is back', async () => {
  const s3 = await fakeS3();
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const mount = join(instance.root, 'mount');
  await makeDirectory(mount, serverUser, 0o700);
  const key = join(instance.root, 'recovery-sheet.txt');
  const created = await run(instance, ['keys', 'create', key, '--json']);
  expect(created, created.stderr).toMatchObject({ code: 0 });
  expect(created.stdout).not.toContain('AGE-SECRET-KEY');
  const { recipient } = (JSON.parse(created.stdout) as { report: { recipient: string } }).report;
  const copies: ConfigInput['copies'] = {
    bucket: {
      type: 's3',
      bucket: s3.bucket,
      endpoint: s3.endpoint,
      accessKeyId: { env: 'S3_KEY' },
      secretAccessKey: { env: 'S3_SECRET' },
      recipients: [recipient],
    },
    nas: { type: 'directory', path: mount, recipients: [recipient] },
  };
  await configure(instance, { copies });
  const env = { S3_KEY: s3.credentials.accessKeyId, S3_SECRET: s3.credentials.secretAccessKey.reveal() };
  const running = await boot(instance);
  const taken = await run(instance, ['backup', 'create'], { env });
  expect(taken, taken.stderr).toMatchObject({ code: 0 });
  expect(taken.stderr).toMatch(/copied data_\d+_\d+ to bucket/);
  await addRows(instance, known.ledger + 1, 10);
  await run(instance, ['backup', 'create'], { env });
  const again = await run(instance, ['backup', 'copy', '--to', 'nas', '--json'], { env });
  expect((JSON.parse(again.stdout) as { report: { copied: CopiedBackup[] } }).report.copied).toMatchObject([{ copy: 'nas', sentBytes: 0 }]);
  const listed = JSON.parse((await run(instance, ['backup', 'list', '--copy', 'bucket', '--json'], { env })).stdout) as {
    report: { backups: { label: string; sentBytes: number }[] };
  };
  const [newest, oldest] = listed.report.backups;
  expect(newest!.sentBytes).toBeLessThan(oldest!.sentBytes / 3);
  const checked = await run(instance, ['keys', 'check', '--identity', key], { env });
  expect(checked, checked.stderr).toMatchObject({ code: 0 });
  expect((await run(instance, ['backup', 'verify', '--copy', 'bucket'], { env })).code).toBe(0);
  expect((await running.stop()).code).toBe(0);

  // The machine is gone: only the configuration and the key are left.
  for (const dir of [instance.dataDir, instance.backupDir, instance.stateDir]) await rm(dir, { recursive: true });
  await makeDirectory(instance.dataDir, serverUser, 0o700);
  await mkdir(instance.backupDir);
  const without = await run(instance, ['backup', 'restore', 'latest', '--from', 'bucket', '--yes'], { env });
  expect(without.code).toBe(78);
  const restored = await run(instance, ['backup', 'restore', 'latest', '--from', 'bucket', '--identity', key, '--yes'], { env });
  expect(restored, restored.stderr).toMatchObject({ code: 0 });
  const back = await boot(instance);
  await expectAllRows(instance, 10);
  const verified = await run(instance, ['backup', 'verify', newest!.label]);
  expect(verified, verified.stderr).toMatchObject({ code: 0 });
  expect((await back.stop()).code).toBe(0);

  // One object of the bucket is damaged.
  const pack = [...s3.objects.keys()].find((name) => name.includes('/packs/'))!;
  s3.objects.set(pack, s3.objects.get(pack)!.subarray(0, 100));
  const damaged = await run(instance, ['backup', 'verify', '--copy', 'bucket'], { env });
  expect(damaged.code).toBe(65);
  expect(await readFile(key, 'utf8')).toContain('RECOVERY SHEET');
});

test('the moment before a table was dropped, on a blank machine: the backup in the copy that serves it is brought, not the newest', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const mount = join(instance.root, 'mount');
  await makeDirectory(mount, serverUser, 0o700);
  await configure(instance, { copies: { nas: { type: 'directory', path: mount, recipients: [] } } });
  const env = { DBKIT_WAL: 'tail' };
  const running = await boot(instance, { env });
  const take = async (): Promise<void> =>
    expect((await run(instance, ['backup', 'create'], { env })).stderr).toMatch(/copied data_\d+_\d+ to nas/);
  await take();
  await ask(instance, 'app', 'CREATE TABLE orders AS SELECT generate_series(1, 500) AS id');
  await ask(instance, 'app', 'DROP TABLE orders');
  await addRows(instance, known.ledger + 1, 10);
  await untilKept(instance);
  await take();
  expect((await running.stop()).code).toBe(0);

  for (const dir of [instance.dataDir, instance.backupDir, instance.stateDir]) await rm(dir, { recursive: true });
  await makeDirectory(instance.dataDir, serverUser, 0o700);
  await mkdir(instance.backupDir);
  const back = (...moment: string[]) => run(instance, ['backup', 'restore', '--from', 'nas', ...moment, '--yes'], { env });
  const never = await back('--before', 'drop table invoices');
  expect(never, never.stderr).toMatchObject({ code: 77, stderr: expect.stringMatching(/does not contain it.*have backups/) });
  const restored = await back('--before', 'drop table orders');
  expect(restored, restored.stderr).toMatchObject({ code: 0 });
  const again = await boot(instance, { env });
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM orders')).toBe(500);
  await expectAllRows(instance, 0);
  expect((await again.stop()).code).toBe(0);
});
