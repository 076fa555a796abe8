import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { remove, write } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { makeDirectory, ownedBy } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { giveToRoot, needsRoot } from '../harness/permissions.ts';
import { until } from '../harness/processes.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster, scenario } from './disaster.ts';
import { expectRowsOfTheBackup, takeBackup } from './take-backup.ts';
import { expectStopped, quarantined } from './verdict.ts';

/** Moves it to another disk and leaves a link, as people do when a volume gets full. */
async function linkElsewhere({ root, dataDir }: Instance, path: string): Promise<void> {
  const target = join(root, path.replaceAll('/', '-'));
  await rename(join(dataDir, path), target);
  await symlink(target, join(dataDir, path));
}

disaster({
  name: 'pg_xact, a database and a table lie behind links to another disk',
  section: 'A',
  detectedBefore: true,
  healedBy: 'start',
  rowsLost: 'none: links are followed',
  left: 'unseen',
  break: async (instance) => {
    await linkElsewhere(instance, instance.places.ledger);
    for (const path of ['pg_xact', instance.places.archive]) await linkElsewhere(instance, path);
  },
  expect: {},
});

scenario(
  {
    name: 'a backup is taken of an instance with a database and a table behind links, and restored',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none: what is behind the links is in the backup',
    from: 'template',
  },
  async (instance) => {
    await linkElsewhere(instance, instance.places.ledger);
    await linkElsewhere(instance, instance.places.archive);
    const running = await boot(instance);
    await takeBackup(instance);
    const restored = await run(instance, ['backup', 'restore', 'latest', '--yes']);
    expect(restored, restored.stderr).toMatchObject({ code: 0 });
    await expectRowsOfTheBackup(instance);
    await expectStopped(instance, await running.stop());
  },
);

/** What the file held lies beside the data, for whoever moves the pipe away. */
async function pipeInPlaceOf({ root, dataDir }: Instance, path: string): Promise<void> {
  await rename(join(dataDir, path), join(root, 'moved-away'));
  execFileSync('mkfifo', [join(dataDir, path)]);
  await ownedBy(join(dataDir, path), serverUser);
}

for (const path of ['global/pg_control', 'postgresql.conf', 'pg_xact/0000'])
  disaster({
    longTier: true,
    name: `a pipe stands in the place of ${path}`,
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none: nobody waits for the pipe',
    left: 'clean',
    break: (instance) => pipeInPlaceOf(instance, path),
    mend: ({ root, dataDir }) => rename(join(root, 'moved-away'), join(dataDir, path)),
    expect: { exit: 77, finding: 'entry.no-file', message: /a pipe, a socket or a device/ },
  });

disaster({
  longTier: true,
  name: 'the directory is the old half of a pg_upgrade --link',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none: the new directory has the same files',
  left: 'clean',
  break: ({ dataDir }) => rename(join(dataDir, 'global/pg_control'), join(dataDir, 'global/pg_control.old')),
  expect: { exit: 77, finding: 'upgrade.old-half', message: /pg_upgrade/ },
});

disaster({
  longTier: true,
  name: 'postgresql.conf was copied from elsewhere, and its data_directory leads there',
  section: 'A',
  detectedBefore: true,
  healedBy: 'refusal',
  rowsLost: 'none',
  left: 'clean',
  break: (instance) => write(instance, 'postgresql.conf', "data_directory = '/var/lib/elsewhere'\n"),
  expect: { exit: 78, finding: 'conf.elsewhere', message: /data_directory/ },
  mend: (instance) => write(instance, 'postgresql.conf', '# mended\n'),
});

disaster({
  longTier: true,
  name: 'a file manager left a file in pg_tblspc, and the power was cut',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none',
  left: 'crashed',
  break: (instance) => write(instance, 'pg_tblspc/.DS_Store', 'junk'),
  postgresSays: /could not open directory "pg_tblspc\/\.DS_Store/,
  expect: { finding: 'tablespace.junk', quarantine: ['pg_tblspc/.DS_Store'] },
});

/** A tablespace outside PGDATA with a table, and a supervisor that has noted where it is. */
async function withTablespace(instance: Instance): Promise<void> {
  const place = join(instance.root, 'space');
  await mkdir(place, { mode: 0o700 });
  await ownedBy(place, serverUser);
  await ask(instance, 'app', `CREATE TABLESPACE space LOCATION '${place}'`);
  await ask(instance, 'app', 'CREATE TABLE elsewhere TABLESPACE space AS SELECT generate_series(1, 300) AS i');
  const known = (): Promise<string> => readFile(join(instance.dataDir, '.dbkit', 'tablespaces.json'), 'utf8');
  await until(
    () =>
      known().then(
        (list) => list.includes(place),
        () => false,
      ),
    () => 'nobody has noted where the tablespace is',
  );
}

/** Removes the tablespace's link; `stand` takes its place. */
async function replaceLink(instance: Instance, stand?: 'file' | 'folder'): Promise<void> {
  const [link] = await readdir(join(instance.dataDir, 'pg_tblspc'));
  await remove(instance, `pg_tblspc/${link}`);
  if (stand === 'folder') await makeDirectory(join(instance.dataDir, 'pg_tblspc', link!), serverUser, 0o700);
  if (stand === 'file') await write(instance, `pg_tblspc/${link}`, 'no link');
}

async function expectAllOfThem(instance: Instance, added: number): Promise<void> {
  await expectAllRows(instance, added);
  expect(await ask(instance, 'app', 'SELECT count(*)::int FROM elsewhere')).toEqual([{ count: 300 }]);
}

for (const [name, left, stand] of [
  ['the link of a tablespace that holds a table is gone', 'clean', undefined],
  ['a file stands in the place of the link of a tablespace that holds a table', 'crashed', 'file'],
  ['an empty folder stands in the place of the link of a tablespace that holds a table', 'clean', 'folder'],
  ['an empty folder stands in the place of the link of a tablespace that holds a table, after a crash', 'crashed', 'folder'],
] as const)
  disaster({
    longTier: stand !== 'file',
    name,
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none: where it led is known',
    left,
    prepare: withTablespace,
    break: (instance) => (stand === undefined ? remove(instance, 'pg_tblspc') : replaceLink(instance, stand)),
    expect: { finding: 'tablespace.unlinked', rows: expectAllOfThem },
  });

disaster({
  name: 'the link of a tablespace was removed while the server ran, and it crashed later',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none: where it led is known',
  left: 'crashed',
  prepare: async (instance) => {
    await withTablespace(instance);
    await replaceLink(instance);
    await ask(instance, 'app', 'UPDATE ledger SET amount = amount WHERE id = 1');
    await sleep(3_000); // The supervisor looks every two seconds.
  },
  break: async () => undefined,
  expect: { finding: 'tablespace.unlinked', rows: expectAllOfThem },
});

for (const [name, lose] of [
  ['its disk is not mounted', (instance: Instance) => rm(join(instance.root, 'space'), { recursive: true })],
  ['nobody knows where it led', ({ dataDir }: Instance) => rm(join(dataDir, '.dbkit'), { recursive: true })],
] as const)
  disaster({
    longTier: true,
    name: `a file stands in the place of the link of a tablespace after a crash, and ${name}`,
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none: recovery would begin without that tablespace',
    left: 'crashed',
    prepare: withTablespace,
    break: async (instance) => {
      await replaceLink(instance, 'file');
      await lose(instance);
    },
    expect: { finding: 'tablespace.dangling', exit: 77 },
  });

disaster({
  longTier: true, // Another copy that is kept: `repair.set-aside` of killed-at-every-step.test.ts has one each day.
  name: 'postgresql.auto.conf is empty after a power cut',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none, and no setting',
  left: 'clean',
  prepare: async (instance) => void (await ask(instance, 'app', "ALTER SYSTEM SET work_mem = '7MB'")),
  break: ({ dataDir }) => writeFile(join(dataDir, 'postgresql.auto.conf'), ''),
  expect: {
    finding: 'conf.broken',
    rows: async (instance, added) => {
      await expectAllRows(instance, added);
      expect(await ask(instance, 'app', 'SHOW work_mem')).toEqual([{ work_mem: '7MB' }]);
    },
  },
});

scenario(
  {
    longTier: true,
    name: 'notes and a key in the data directory belong to root',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none: they are left as they are',
    needs: needsRoot,
    from: 'template',
  },
  async (instance) => {
    await write(instance, 'server.key', 'secret');
    await mkdir(join(instance.dataDir, '.Trash-0'), { mode: 0o700 });
    await giveToRoot(join(instance.dataDir, 'server.key'));
    await giveToRoot(join(instance.dataDir, '.Trash-0'));
    const running = await boot(instance);
    await expectAllRows(instance, 0);
    await takeBackup(instance);
    for (const name of ['server.key', '.Trash-0']) expect(statSync(join(instance.dataDir, name)).uid, name).toBe(0);
    expect(await quarantined(instance)).toEqual([]);
    await expectStopped(instance, await running.stop());
  },
);
