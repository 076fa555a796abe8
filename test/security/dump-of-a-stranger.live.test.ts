import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { LoadReport } from '../../src/backups/backup.ts';
import type { DumpManifest } from '../../src/backups/dump/manifest.ts';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { known } from '../harness/rows.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump')));

test('a dump whose maker wrote himself every right gives none over what was there', async ({ skip }) => {
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
  const body = JSON.stringify(manifest);
  await writeFile(file, body);
  const before = JSON.parse(await readFile(record, 'utf8')) as object;
  await writeFile(record, JSON.stringify({ ...before, manifestSha256: createHash('sha256').update(body).digest('hex') }));

  const restored = await run(instance, ['backup', 'restore', label, '--into', 'again', '--json']);
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
