import { appendFile, chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import pg from 'pg';
import { expect, test } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { boot, inspect } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';

const [programs] = installed;

async function script({ initScriptsDir }: Instance, name: string, body: string | Buffer, mode = 0o644): Promise<void> {
  await writeFile(join(initScriptsDir, name), body);
  await chmod(join(initScriptsDir, name), mode);
}

test('a first boot takes passwords from files, arguments for initdb, and runs the init scripts once, in order, on a server nobody else reaches', async () => {
  const instance = await openInstance({ programs: programs!, from: 'empty' });
  const ran = join(instance.root, 'run', 'ran');
  await writeFile(join(instance.root, 'secret'), 'from a file\n');
  await script(instance, '10-table.sql', 'CREATE TABLE steps (n serial, name text);\nINSERT INTO steps (name) VALUES (\'sql; "quoted"\');');
  await script(instance, '20-packed.sql.gz', gzipSync(`INSERT INTO steps (name) VALUES ('gz');`));
  const reach = `node -e "require('net').connect(${instance.port},'127.0.0.1').on('error',()=>process.exit(0)).on('connect',()=>process.exit(9))"`;
  await script(instance, '30-run.sh', `#!/bin/sh\nset -e\n${reach}\necho once >> ${ran}\n`, 0o755);
  await script(instance, '40-notes.txt', 'not a script');
  const env = {
    DATABASE_USERNAME: 'my clerk',
    DATABASE_NAME: 'día',
    DATABASE_PASSWORD: undefined,
    DATABASE_PASSWORD_FILE: join(instance.root, 'secret'),
    POSTGRES_INITDB_ARGS: '--wal-segsize=4',
  };
  for (const times of [1, 2]) {
    const running = await boot(instance, { env });
    expect(await readFile(ran, 'utf8'), `after boot ${times}`).toBe('once\n');
    await running.stop();
  }
  const running = await boot(instance, { env });
  expect(await ask(instance, 'día', 'SELECT name FROM steps ORDER BY n')).toEqual([{ name: 'sql; "quoted"' }, { name: 'gz' }]);
  expect(await ask(instance, 'día', 'SHOW wal_segment_size')).toEqual([{ wal_segment_size: '4MB' }]);
  expect(await ask(instance, 'día', 'SHOW data_checksums')).toEqual([{ data_checksums: 'on' }]);
  const { port } = instance;
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'my clerk', database: 'día', password: 'from a file' });
  await client.connect();
  await client.query('CREATE TABLE own ()').finally(() => client.end());
  expect((await inspect(instance)).findings.map(({ code }) => code)).toEqual(['server.running']);
  await running.stop();
});

test('SIGHUP makes PostgreSQL read its configuration again', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const running = await boot(instance);
  await appendFile(join(instance.dataDir, 'postgresql.conf'), "\nwork_mem = '9MB'\n");
  await ownedBy(join(instance.dataDir, 'postgresql.conf'), serverUser);
  process.kill(running.pid, 'SIGHUP');
  await until(
    async () => (await ask<{ work_mem: string }>(instance, 'app', 'SHOW work_mem'))[0]!.work_mem === '9MB',
    () => 'work_mem stays what it was',
  );
  await running.stop();
});
