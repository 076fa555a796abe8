import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { makeDirectory, ownedBy } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster } from './disaster.ts';
import { loseTablespace, makeTablespace, place } from './tablespace.ts';

const makeTables = (instance: Instance): Promise<unknown> =>
  ask(instance, 'app', 'CREATE TABLE elsewhere TABLESPACE space AS SELECT 1 AS i', 'CREATE TABLE bare (i int) TABLESPACE space');

async function withTables(instance: Instance): Promise<void> {
  await makeTablespace(instance);
  await makeTables(instance);
}

async function onlyTheirsAreLost(instance: Instance, added: number): Promise<void> {
  await expectAllRows(instance, added);
  await expect(ask(instance, 'app', 'TABLE elsewhere')).rejects.toThrow(/could not open file/);
}

/** A file of the server's user where a folder was. */
async function putFile(path: string): Promise<void> {
  await rm(path, { recursive: true });
  await writeFile(path, 'no folder');
  await ownedBy(path, serverUser);
}

disaster({
  name: 'the disk of a tablespace that holds a table is not mounted',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those on that disk',
  left: 'clean',
  prepare: withTables,
  break: loseTablespace,
  expect: {
    finding: 'tablespace.dangling',
    lost: /pg_tblspc/,
    rows: onlyTheirsAreLost,
    remains: ['tablespace.dangling', 'relation.missing'],
  },
});

disaster({
  name: 'a file stands in the place of the folder of a tablespace, and the state folder is gone',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those in that tablespace',
  left: 'clean',
  prepare: withTables,
  break: async (instance) => {
    const [version] = await readdir(place(instance));
    await putFile(join(place(instance), version!));
    await rm(instance.stateDir, { recursive: true });
  },
  expect: {
    finding: 'tablespace.dangling',
    lost: /pg_tblspc/,
    rows: onlyTheirsAreLost,
    remains: ['tablespace.dangling', 'relation.missing'],
  },
});

disaster({
  name: 'a file stands where the disk of a tablespace was mounted',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those in that tablespace, each table told',
  left: 'clean',
  prepare: withTables,
  break: (instance) => putFile(place(instance)),
  expect: {
    finding: 'tablespace.dangling',
    lost: /table public\.elsewhere in database app is gone/,
    rows: onlyTheirsAreLost,
    remains: ['tablespace.dangling', 'relation.missing'],
  },
});

disaster({
  longTier: true,
  name: 'a file stands in the place of a folder on the way to a tablespace',
  section: 'C',
  detectedBefore: true,
  healedBy: 'serving the rest',
  rowsLost: 'those in that tablespace, each table told',
  left: 'clean',
  prepare: async (instance) => {
    const disk = join(instance.root, 'disk');
    for (const folder of [disk, join(disk, 'space')]) await makeDirectory(folder, serverUser, 0o700);
    await ask(instance, 'app', `CREATE TABLESPACE space LOCATION '${join(disk, 'space')}'`);
    await makeTables(instance);
  },
  break: (instance) => putFile(join(instance.root, 'disk')),
  expect: {
    finding: 'tablespace.dangling',
    lost: /table public\.elsewhere in database app is gone/,
    rows: onlyTheirsAreLost,
    remains: ['tablespace.dangling', 'relation.missing'],
  },
});
