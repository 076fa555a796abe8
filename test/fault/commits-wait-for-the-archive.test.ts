import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, type Running, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { until } from '../harness/processes.ts';
import { archiveOf, keepingOf, withArchive } from '../wal/kept.ts';
import { missingOf, startWriter, type Writer } from './acknowledged.ts';
import { scenario } from './disaster.ts';

const WRITERS = 4;
const STREAM = `SELECT count(*) FROM pg_stat_replication WHERE application_name = 'dbkit_archive' AND sync_state = 'sync'`;
const settings = { postgresql: { initdbArgs: '--wal-segsize=1' }, wal: { synchronous: true } };

async function begin(instance: Instance): Promise<Running> {
  await configure(instance, settings);
  const running = await boot(instance, withArchive);
  await until(
    async () => (await askNumber(instance, 'postgres', STREAM)) === 1,
    () => `no commit is confirmed:\n${running.words()}`,
  );
  return running;
}

scenario(
  {
    name: 'everything is killed and the data is gone, of a server whose commits wait for the archive',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none: every acknowledged row is in the archive',
    from: 'empty',
    longTier: true,
  },
  async (instance) => {
    const running = await begin(instance);
    expect(await run(instance, ['backup', 'create'], withArchive)).toMatchObject({ code: 0 });
    const writers: Writer[] = [];
    for (let index = 0; index < WRITERS; index += 1) writers.push(await startWriter(instance, 1 + index * 1_000_000));
    const count = (): number => writers.reduce((sum, writer) => sum + writer.acknowledged().length, 0);
    await until(
      () => count() > 1_000,
      () => `${count()} rows were acknowledged`,
    );
    await crash(instance, running);
    await Promise.all(writers.map((writer) => writer.stop()));
    await rm(instance.dataDir, { recursive: true });
    await makeDirectory(instance.dataDir, serverUser, 0o700);
    const restored = await run(instance, ['backup', 'restore', '--to', 'latest', '--yes'], withArchive);
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    const back = await boot(instance, withArchive);
    for (const writer of writers) expect(await missingOf(instance, writer, 0)).toBe(0);
    expect((await back.stop()).code).toBe(0);
  },
);

scenario(
  {
    name: 'the archive cannot be written, and commits wait for it',
    section: 'C',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none: nothing is acknowledged meanwhile',
    from: 'empty',
    longTier: true,
  },
  async (instance) => {
    const running = await begin(instance);
    await ask(instance, 'app', 'CREATE TABLE rows (id int)');
    const folder = join((await archiveOf(instance)).dir, '00000001');
    await rm(folder, { recursive: true });
    await writeFile(folder, 'somebody put a file here');
    const client = new pg.Client({ host: instance.socketDir, port: instance.port, user: 'postgres', database: 'app' });
    await client.connect();
    let isAcknowledged = false;
    const commit = client.query('INSERT INTO rows SELECT generate_series(1, 60000)').then(() => {
      isAcknowledged = true;
    });
    await until(
      async () => (await keepingOf(instance))?.state === 'failing',
      () => `nothing is told:\n${running.words()}`,
    );
    await until(
      async () => (await askNumber(instance, 'postgres', STREAM)) === 0,
      () => 'the server still takes the archive for a standby',
    );
    const health = await run(instance, ['health', '--probe', 'write', '--json'], withArchive);
    expect(health, health.stderr).toMatchObject({ code: 2, stdout: expect.stringMatching(/commits wait for the WAL archive/) });
    expect(isAcknowledged).toBe(false);
    await rm(folder);
    await commit;
    const healthy = await run(instance, ['health', '--probe', 'write', 'replication'], withArchive);
    expect(healthy, healthy.stdout).toMatchObject({ code: 0, stdout: expect.stringContaining('no replicas') });
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM rows')).toBe(60_000);
    await client.end();

    await rm(folder, { recursive: true });
    await writeFile(folder, 'and once more');
    const ended = await running.stop();
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    await rm(folder);
    const again = await boot(instance, withArchive);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM rows')).toBe(60_000);
    expect((await again.stop()).code).toBe(0);
  },
);
