import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DumpManifest } from '../../src/backups/dump/manifest.ts';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import type { LoadReport } from '../../src/backups/load-dump.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump')));

const sha256 = (body: string | Buffer): string => createHash('sha256').update(body).digest('hex');

/** As somebody does who knows how dumps are made: every digest fits. */
async function rewrite(file: string, record: string, manifest: DumpManifest): Promise<void> {
  const body = JSON.stringify(manifest);
  await writeFile(file, body);
  const before = JSON.parse(await readFile(record, 'utf8')) as object;
  await writeFile(record, JSON.stringify({ ...before, manifestSha256: sha256(body) }));
}

nightly('a dump whose maker wrote himself every right gives none over what was there', async ({ skip }) => {
  if (!programs) return skip('pg_dump is not installed');
  const instance = await openInstance({ programs, from: 'template' });
  const running = await boot(instance);
  const created = await run(instance, ['backup', 'create', '--engine', 'dump', '--database', 'app', '--json']);
  const { label, path } = (JSON.parse(created.stdout) as { report: { backup: ListedBackup } }).report.backup;
  const [file, record] = [join(path, 'manifest.json'), join(instance.backupDir, `${label}.json`)];
  const manifest = JSON.parse(await readFile(file, 'utf8')) as DumpManifest;
  const library = { name: 'session_preload_libraries', value: 'evil' };
  manifest.roles.push({
    ...{
      name: 'mallory',
      login: true,
      superuser: true,
      createDb: false,
      createRole: true,
      inherit: true,
      replication: true,
      bypassRls: true,
    },
    ...{ connectionLimit: -1, validUntil: null, passwordHash: null, settings: [library, { name: 'work_mem', value: '7MB' }] },
    memberOf: ['postgres', 'app', 'pg_execute_server_program'].map((role) => ({ role, admin: true })),
  });
  manifest.databases[0]!.settings.push(library, { name: 'work_mem', value: '8MB' });
  manifest.databases[0]!.roleSettings.push({ role: 'mallory', ...library }, { role: 'postgres', ...library });
  await rewrite(file, record, manifest);

  const refused = await run(instance, ['backup', 'restore', label, '--into', 'again', '--json']);
  expect(refused, refused.stderr).toMatchObject({
    code: 77,
    stdout: expect.stringMatching(/owner postgres of database app[\s\S]*--trust/),
  });
  const table = ['backup', 'restore', label, '--table', 'public.documents', '--json'];
  expect(await run(instance, table)).toMatchObject({
    code: 77,
    stdout: expect.stringMatching(/owner postgres of database app[\s\S]*--trust/),
  });
  expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_roles WHERE rolname = 'mallory'")).toBe(0);
  const brought = await run(instance, [...table, '--trust']);
  expect(brought, brought.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(`"rows": ?${known.documents}\\b`) });
  const restored = await run(instance, ['backup', 'restore', label, '--into', 'again', '--trust', '--json']);
  const { missing } = (JSON.parse(restored.stdout) as { report: LoadReport }).report;
  expect(missing.filter(({ what }) => what.includes('session_preload_libraries'))).toHaveLength(3);
  expect(restored.stderr).toMatch(/GRANT "postgres" TO "mallory" WITH ADMIN OPTION;.*SUPERUSER REPLICATION BYPASSRLS CREATEROLE/);
  expect(
    await ask(
      instance,
      'postgres',
      `SELECT rolsuper OR rolreplication OR rolbypassrls OR rolcreaterole AS mighty, rolconfig, (SELECT count(*)::int FROM pg_auth_members WHERE member = r.oid) AS member
         FROM pg_roles r WHERE rolname = 'mallory'`,
    ),
  ).toEqual([{ mighty: false, rolconfig: ['work_mem=7MB'], member: 0 }]);
  expect(await ask(instance, 'again', 'SHOW work_mem')).toEqual([{ work_mem: '8MB' }]);
  expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_db_role_setting WHERE setconfig::text ~ 'evil'")).toBe(0);
  expect(await askNumber(instance, 'again', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
  await running.stop();
});

test('no SQL of a stranger runs as the superuser; what needs that is refused until somebody answers for the dump', async ({ skip }) => {
  if (!programs) return skip('pg_dump is not installed');
  const instance = await openInstance({ programs, from: 'template' });
  const running = await boot(instance);
  await ask(instance, 'postgres', 'CREATE ROLE shopkeeper', 'CREATE ROLE guest', 'CREATE DATABASE shop OWNER shopkeeper');
  await ask(
    instance,
    'shop',
    'SET SESSION AUTHORIZATION shopkeeper',
    'CREATE TABLE goods AS SELECT n FROM generate_series(1, 100) AS n',
    `COMMENT ON TABLE goods IS '${'x'.repeat(60)}'`,
    'GRANT SELECT ON goods TO guest',
    'REVOKE CREATE ON DATABASE shop FROM PUBLIC',
  );
  const make = async (): Promise<{ label: string; path: string; record: string }> => {
    const created = await run(instance, ['backup', 'create', '--engine', 'dump', '--database', 'shop', '--json']);
    const { label, path } = (JSON.parse(created.stdout) as { report: { backup: ListedBackup } }).report.backup;
    return { label, path, record: join(instance.backupDir, `${label}.json`) };
  };
  const forged = await make();
  const manifest = JSON.parse(await readFile(join(forged.path, 'manifest.json'), 'utf8')) as DumpManifest;
  const toc = manifest.files.find(({ path }) => path.endsWith('toc.dat'))!;
  const text = await readFile(join(forged.path, toc.path), 'latin1');
  const comment = /COMMENT ON TABLE public\.goods IS 'x+';\n/.exec(text)![0];
  const archive = Buffer.from(text.replace(comment, 'ALTER ROLE shopkeeper SUPERUSER;'.padEnd(comment.length)), 'latin1');
  await writeFile(join(forged.path, toc.path), archive);
  toc.sha256 = sha256(archive);
  await rewrite(join(forged.path, 'manifest.json'), forged.record, manifest);
  const restored = await run(instance, ['backup', 'restore', forged.label, '--into', 'second', '--json']);
  expect(restored, restored.stderr).toMatchObject({ code: 0 });
  const { missing } = (JSON.parse(restored.stdout) as { report: LoadReport }).report;
  expect(missing.map(({ what }) => what)).toEqual(['comment public TABLE goods shopkeeper']);
  expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname = 'shopkeeper'")).toBe(0);
  expect(
    await ask(instance, 'second', "SELECT relacl::text AS acl, relowner::regrole::text AS owner FROM pg_class WHERE relname = 'goods'"),
  ).toEqual([{ acl: '{shopkeeper=arwdDxt/shopkeeper,guest=r/shopkeeper}', owner: 'shopkeeper' }]);
  expect(await askNumber(instance, 'second', 'SELECT count(*) FROM goods')).toBe(100);

  await ask(
    instance,
    'shop',
    'CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$',
    'ALTER FUNCTION told() OWNER TO shopkeeper',
    'CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION told()',
  );
  const triggers = "SELECT count(*) FROM pg_event_trigger WHERE evtname = 'watch'";
  const { label } = await make();
  expect(await run(instance, ['backup', 'restore', label, '--into', 'third'])).toMatchObject({ code: 0 });
  expect(await askNumber(instance, 'third', triggers)).toBe(1);
  await rm(join(instance.env['DBKIT_STATE_DIR']!, 'dump-key'));
  for (const words of [
    ['restore', label, '--into', 'fourth'],
    ['restore', label, '--yes'],
    ['verify', label, '--test'],
  ]) {
    const refused = await run(instance, ['backup', ...words]);
    expect(refused, refused.stderr).toMatchObject({ code: 77, stderr: expect.stringMatching(/event trigger.*watch[\s\S]*--trust/) });
  }
  const table = await run(instance, ['backup', 'restore', label, '--database', 'shop', '--table', 'public.goods', '--json']);
  expect(table, table.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/"rows": ?100\b/) });
  expect(await run(instance, ['backup', 'verify', label, '--test', '--trust'])).toMatchObject({ code: 0 });
  const databases = "SELECT count(*) FROM pg_database WHERE datname ~ '^(fourth|shop_|dbkit_restore_)'";
  expect(await askNumber(instance, 'postgres', databases)).toBe(0);
  expect(await run(instance, ['backup', 'restore', label, '--into', 'fourth', '--trust'])).toMatchObject({ code: 0 });
  expect(await askNumber(instance, 'fourth', triggers)).toBe(1);
  expect(await askNumber(instance, 'fourth', 'SELECT count(*) FROM goods')).toBe(100);
  await running.stop();
});
