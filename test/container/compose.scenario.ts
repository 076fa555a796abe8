import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { images, layouts, type Major, type Project, project } from './composed.ts';
import { missing, note } from './tools.ts';

const why = await missing();
beforeAll(async () => {
  if (!why) await images();
}, 900_000);

const majors: readonly Major[] = [15, 16, 18];

/** The commonest set-up there is: the official image in a service of its own. */
const shop = (major: Major, port: number): string => `# The shop.
services:
  db:
    image: postgres:${major} # as in production
    environment:
      POSTGRES_USER: shop
      POSTGRES_PASSWORD: secret
      POSTGRES_DB: orders
      PGPORT: "${port}"
    volumes:
      - pgdata:${layouts[major].volume}
volumes:
  pgdata:
`;

/** It runs as ever, with rows in it. */
async function inUse(major: Major): Promise<Project> {
  const made = await project((port) => shop(major, port));
  onTestFinished(() => made.end());
  await made.up('db');
  await made.sql('CREATE TABLE ledger AS SELECT g AS id, md5(g::text) AS note FROM generate_series(1, 1000) g');
  return made;
}

const rolesAndDatabases =
  "SELECT string_agg(name, ' ' ORDER BY name) FROM (SELECT rolname AS name FROM pg_roles WHERE rolname !~ '^pg_' UNION ALL SELECT datname FROM pg_database) n";

describe.skipIf(why !== undefined)(`a project with an official image${why ? ` (${why})` : ''}`, () => {
  test.each(majors)('postgres:%i adopted, broken, healed: the volume, its owner, role and password stay; and back', async (major) => {
    const own = await inUse(major);
    expect(await own.sql('SHOW server_version_num')).toMatch(new RegExp(`^${major}`));
    const before = await own.sql(rolesAndDatabases);
    expect(await own.stop()).toBe(0);
    await own.remove();

    const since = performance.now();
    expect(await own.dbkit('init', 'compose', '--as', 'entrypoint', '--yes')).toMatchObject({ code: 0 });
    await own.up('db');
    const adopted = performance.now();
    const data = join(await own.volume('pgdata'), layouts[major].data);
    expect(await own.overTcp('SELECT count(*) FROM ledger')).toBe('1000');
    expect(await own.sql(rolesAndDatabases)).toBe(before);
    expect(await stat(data)).toMatchObject({ uid: 999, gid: 999 });
    expect((await own.exec('dbkit', 'backup', 'create')).stdout).toMatch(/^backup data_/);
    await own.sql('INSERT INTO ledger VALUES (1001)');
    expect(await own.stop()).toBe(0);
    await own.remove();

    await rm(join(data, 'global/2671'));
    const broken = performance.now();
    await own.up('db');
    expect(await own.overTcp('SELECT count(*) FROM ledger')).toBe('1001');
    expect(await own.logs()).toMatch(/rebuilt pg_database_datname_index/);
    const healed = performance.now();
    expect((await own.exec('find', join(layouts[major].volume, layouts[major].data), '!', '-user', 'postgres')).stdout, 'its user’s').toBe(
      '',
    );
    note(`postgres:${major}: init compose, image and first start`, `${((adopted - since) / 1000).toFixed(1)} s`);
    note(`postgres:${major}: from rm global/2671 to rows`, `${((healed - broken) / 1000).toFixed(1)} s`);
    note(`postgres:${major}: adopted, broken, healed, in all`, `${((healed - since) / 1000).toFixed(1)} s`);
    expect(healed - since).toBeLessThan(180_000);

    expect(await own.stop()).toBe(0);
    await own.remove();
    const { root, port } = own;
    await writeFile(join(root, 'compose.yaml'), shop(major, port));
    await own.up('db');
    expect(await own.overTcp('SELECT count(*) FROM ledger'), 'the image serves its volume again').toBe('1001');
  });

  test('beside it: health, sql, a snapshot and a dump over the connection, and the server’s own service as it was', async () => {
    const own = await inUse(15);
    const before = await own.file();
    expect(await own.dbkit('init', 'compose', '--as', 'beside', '--yes')).toMatchObject({ code: 0 });
    const after = (await own.file()).replace('PGHOST: "db"', 'PGHOST: "127.0.0.1"'); // The lab has no network of its own for a project.
    expect(after).toContain(before.split('volumes:\n  pgdata')[0]!.trimEnd());
    await writeFile(join(own.root, 'compose.yaml'), after);
    const said = await own.once('dbkit', 'sql', '--csv', '-c', 'select count(*) from ledger');
    expect(said).toMatchObject({ code: 0, stdout: 'count\n1000\n' });
    expect(await own.once('dbkit', 'wait')).toMatchObject({ code: 0 });
    expect((await own.once('dbkit', 'health', '--probe', 'connection')).code).toBe(0);
    expect((await own.once('dbkit', 'snapshot', 'save', 'before')).code).toBe(0);
    const dumped = await own.once('dbkit', 'backup', 'create', '--engine', 'dump');
    expect(dumped.stdout + dumped.stderr).toMatch(/backup dump_/);
    expect((await own.once('dbkit', 'backup', 'list')).stdout).toMatch(/dump_\d{8}_\d{6}/);
  });
});
