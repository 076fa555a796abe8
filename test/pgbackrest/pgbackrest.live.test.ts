import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import { SET } from '../../src/pgbackrest/info.ts';
import type { RestoreReport } from '../../src/restore/contract.ts';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, type Ended, readRecovery, run, start } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { killAllIn, processesIn, until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { isLongTier } from '../harness/tier.ts';

/** Debian 12's pgBackRest knows PostgreSQL up to 15. */
const programs = installed.find(({ major }) => major <= 15);
const isHere = existsSync('/usr/bin/pgbackrest') && programs !== undefined;
const here = test.skipIf(!isHere);
const long = test.skipIf(!isHere || !isLongTier);

const ok = async (instance: Instance, ...words: string[]): Promise<Ended> => {
  const ended = await run(instance, words);
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};
const reportOf = <T>({ stdout }: Ended): T => (JSON.parse(stdout) as { report: T }).report;
const listed = async (instance: Instance): Promise<readonly ListedBackup[]> =>
  reportOf<{ backups: readonly ListedBackup[] }>(await ok(instance, 'backup', 'list', '--json')).backups;
const nowOf = async (instance: Instance): Promise<string> => {
  const [row] = await ask<{ at: string }>(
    instance,
    'app',
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS at",
  );
  return `${row!.at}+00`;
};

/** An instance that serves, with pgBackRest as its engine. */
async function served(settings: Readonly<Record<string, string>> = {}) {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, { backup: { engine: 'pgbackrest', afterStart: false }, postgresql: { settings } });
  return { instance, running: await boot(instance) };
}

here('full, increment, list, verify, restore to a time, undo: behind the same commands, every row counted', async () => {
  const { instance, running } = await served();
  await ok(instance, 'backup', 'create', '--note', 'the first', '--pin');
  await addRows(instance, known.ledger + 1, 10);
  await ok(instance, 'backup', 'create');
  const [incr, full] = await listed(instance);
  expect(full).toMatchObject({ engine: 'pgbackrest', state: 'good', note: 'the first', pinned: true, pgVersion: programs!.major });
  expect(incr!.newBytes).toBeLessThan(full!.newBytes);
  await ok(instance, 'backup', 'verify', '--all');
  expect((await listed(instance)).map(({ state }) => state)).toEqual(['verified', 'verified']);

  await addRows(instance, known.ledger + 11, 5);
  const moment = await nowOf(instance);
  await ask(instance, 'app', 'DROP TABLE ledger CASCADE');
  const done = reportOf<RestoreReport>(await ok(instance, 'backup', 'restore', '--to', moment, '--yes', '--json'));
  expect(done).toMatchObject({ done: true, source: { label: incr!.label }, bootTest: { planned: true, databases: expect.any(Number) } });
  expect(done.recoveredTo).toBe(new Date(`${moment.replace(' ', 'T')}:00`).toISOString());
  await expectAllRows(instance, 15);
  expect(existsSync(join(instance.dataDir, 'recovery.signal'))).toBe(false);

  await ok(instance, 'backup', 'undo', '--yes');
  expect(await askNumber(instance, 'app', "SELECT count(*) FROM pg_class WHERE relname = 'ledger'")).toBe(0);
  await running.stop();
});

here('a row is in the repository after archive_timeout, with no checkpoint since the start', async () => {
  const { instance, running } = await served({ archive_timeout: '1s' });
  await addRows(instance, known.ledger + 1, 1);
  const [segment] = await ask<{ name: string }>(instance, 'app', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS name');
  const isSent = `SELECT count(*) FROM pg_stat_archiver WHERE last_archived_wal >= '${segment!.name}'`;
  await until(
    async () => (await askNumber(instance, 'app', isSent)) === 1,
    () => `${segment!.name} is not sent`,
    30_000,
  );
  await running.stop();
});

long('to the end of the WAL, to the backup itself, and on the new timeline: each with its rows', async () => {
  const { instance, running } = await served();
  await ok(instance, 'backup', 'create');
  const [full] = await listed(instance);
  await addRows(instance, known.ledger + 1, 7);
  await ok(instance, 'backup', 'restore', '--to', 'latest', '--yes');
  await expectAllRows(instance, 7); // Timeline 2.
  await addRows(instance, known.ledger + 8, 2);
  const moment = await nowOf(instance);
  await addRows(instance, known.ledger + 10, 1);
  await ok(instance, 'backup', 'restore', '--to', moment, '--yes');
  await expectAllRows(instance, 9); // From the backup of timeline 1, through timeline 2.
  await ok(instance, 'backup', 'create');
  const [incr] = await listed(instance);
  const shown = reportOf<{ details: { type: string; needs: string[]; timeline: number } }>(
    await ok(instance, 'backup', 'show', incr!.label, '--json'),
  );
  expect(shown.details).toMatchObject({ type: 'incr', needs: [expect.stringMatching(SET)], timeline: 3 });
  await ok(instance, 'backup', 'restore', full!.label, '--yes');
  await expectAllRows(instance, 0);
  await ok(instance, 'backup', 'drill', incr!.label);
  expect((await listed(instance)).map(({ state }) => state)).toEqual(['proven', 'good']);
  await running.stop();
});

long('what this engine does not do is said by name, and its configuration is the server’s user’s alone', async () => {
  const { instance, running } = await served();
  const refused = async (...words: string[]) => {
    const { code, stdout } = await run(instance, [...words, '--json']);
    const { failure } = JSON.parse(stdout) as { failure: { code: string; hint: string } };
    return { code, id: failure.code, hint: failure.hint };
  };
  await ok(instance, 'backup', 'create');
  expect(await refused('timeline')).toMatchObject({ code: 2, id: 'usage.invalid', hint: expect.stringContaining('dbkit backup find') });
  expect(await refused('backup', 'restore', '--before', 'drop table ledger', '--yes')).toMatchObject({
    code: 2,
    hint: expect.stringContaining('--to TIME'),
  });
  expect(await refused('backup', 'copy')).toMatchObject({ code: 2, hint: expect.stringContaining('pgbackrest.repository') });
  expect(await refused('backup', 'restore', '--to', '2001-01-01 00:00:00+00', '--yes')).toMatchObject({ code: 77, id: 'recovery.refused' });
  const conf = await stat(join(instance.stateDir, 'pgbackrest/pgbackrest.conf'));
  expect(conf.mode & 0o777).toBe(0o600);
  if (process.getuid?.() === 0) expect(conf.uid).toBe(serverUser.uid);
  await running.stop();
  expect(await refused('backup', 'create')).toMatchObject({ code: 69, id: 'service.unready' });
});

long('killed in the middle of a backup and of a restore: the next run goes on, and every row is there', async () => {
  const { instance, running } = await served();
  await ok(instance, 'backup', 'create');
  await addRows(instance, known.ledger + 1, 5);
  await killedWhile(instance, 'backup', ['backup', 'create', '--full']);
  await ok(instance, 'backup', 'create');
  const moment = await nowOf(instance);
  await ask(instance, 'app', 'CREATE TABLE afterwards ()'); // A moment behind the last commit is never reached.
  await running.stop();
  await killedWhile(instance, 'restore', ['backup', 'restore', 'latest', '--to', moment, '--yes']);
  const again = await boot(instance);
  await expectAllRows(instance, 5);
  await ok(instance, 'backup', 'restore', 'latest', '--to', moment, '--yes');
  await expectAllRows(instance, 5);
  expect((await listed(instance)).every(({ state }) => state === 'good')).toBe(true);
  await again.stop();
});

const wordsOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // It has ended.
  }
};

/** kill -9 of dbkit and of what it runs, as soon as pgBackRest is at that command. */
async function killedWhile(instance: Instance, command: string, words: readonly string[]): Promise<void> {
  const dbkit = start(instance, words);
  const atWork = (): number[] => processesIn(instance.stateDir).filter((pid) => wordsOf(pid).includes(`--stanza=main ${command} `));
  await until(
    () => atWork().length > 0,
    () => `pgbackrest ${command} does not begin:\n${dbkit.words()}`,
  );
  process.kill(dbkit.pid, 'SIGKILL');
  for (const pid of atWork()) process.kill(pid, 'SIGKILL');
  await dbkit.ended;
}

long('a damaged data directory is restored from the repository with all WAL that is left: the ladder', async () => {
  const { instance } = await served();
  await ok(instance, 'backup', 'create');
  await addRows(instance, known.ledger + 1, 20); // In pg_wal alone: nothing has closed their segment.
  await killAllIn(instance.root);
  await rm(join(instance.dataDir, 'base'), { recursive: true });
  const again = await boot(instance);
  await expectAllRows(instance, 20);
  expect(await readRecovery(instance)).toMatchObject({ decision: 'restore' });
  await addRows(instance, known.ledger + 21, 2); // On timeline 2.
  await again.stop();

  for (const gone of [instance.dataDir, instance.stateDir])
    for (const name of await readdir(gone)) await rm(join(gone, name), { recursive: true });
  const blank = await boot(instance); // Only the repository is left: the newest timeline, to its end.
  await expectAllRows(instance, 22);
  await blank.stop();
});
