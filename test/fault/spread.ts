import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { run } from '../harness/dbkit.ts';
import { configure, type Instance } from '../harness/instance.ts';

export const spreadRows = 60_000;

/** A table of fifteen megabytes with its index, at rest for as long as a backup wants before it trusts that a file did not change. */
export async function makeSpread(instance: Instance): Promise<void> {
  await configure(instance, { backup: { pages: true, pagesFrom: '1MB' } });
  await ask(
    instance,
    'app',
    `CREATE TABLE spread WITH (fillfactor = 70) AS SELECT i AS id, repeat(md5(i::text), 4) AS words, 0 AS version FROM generate_series(1, ${spreadRows}) i`,
  );
  await ask(instance, 'app', 'ALTER TABLE spread ADD PRIMARY KEY (id)');
  await ask(instance, 'app', 'CHECKPOINT');
  await sleep(2_500);
}

/** A few rows all over the table, and new ones at the end of its index. */
export async function updateSpread(instance: Instance, version: number): Promise<void> {
  await ask(instance, 'app', `UPDATE spread SET version = ${version} WHERE id % 2000 = ${version}`);
  await ask(
    instance,
    'app',
    `INSERT INTO spread SELECT i, 'new', ${version} FROM generate_series(${spreadRows + version * 10}, ${spreadRows + version * 10 + 5}) i`,
  );
  await ask(instance, 'app', 'CHECKPOINT');
}

export interface Listed {
  readonly label: string;
  readonly path: string;
  readonly state: string;
  readonly isPlain: boolean;
}

/** Newest first. */
export async function backupsOf(instance: Instance): Promise<readonly Listed[]> {
  const { stdout } = await run(instance, ['backup', 'list', '--json']);
  return (JSON.parse(stdout) as { report: { backups: Listed[] } }).report.backups;
}

/** Every byte of every backup is what was written, however its files are kept. */
export async function expectAllWhole(instance: Instance): Promise<void> {
  const verified = await run(instance, ['backup', 'verify', '--all', '--deep']);
  expect(verified, verified.stdout + verified.stderr).toMatchObject({ code: 0 });
}

/** PostgreSQL's own program says so, where it is there. */
export async function expectNewestIsPlain(instance: Instance): Promise<void> {
  const [newest] = await backupsOf(instance);
  expect(newest).toMatchObject({ isPlain: true });
  const verifier = join(instance.programs.directory, 'pg_verifybackup');
  if (existsSync(verifier)) await promisify(execFile)(verifier, [newest!.path]);
}

/** The one delta of the oldest backup that is as large as there is. */
export async function deltasOf({ path }: Listed): Promise<readonly string[]> {
  const folder = join(path, '.pages');
  return (await readdir(folder)).filter((name) => name.endsWith('.old')).map((name) => join(folder, name));
}

export const versionsIn = (instance: Instance): Promise<number> =>
  askNumber(instance, 'app', 'SELECT count(*) FROM spread WHERE version > 0');
