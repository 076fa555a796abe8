import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { namesIn } from '../../src/machine/is-there.ts';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { type BareServer, startBare } from '../harness/bare-server.ts';
import { boot, type Running, run, start } from '../harness/dbkit.ts';
import { copyTree, makeDirectory, ownedBy } from '../harness/files.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until, untilNoneIn } from '../harness/processes.ts';
import { addRows, expectAllRows } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';
import { archiveOf, keepingOf, untilKept } from './kept.ts';

const [programs] = installed;
const ok = async (instance: Instance, ...words: string[]): Promise<void> => {
  const ended = await run(instance, words);
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
};

/** As somebody else's unit runs it. */
async function serve(instance: Instance, settings: Readonly<Record<string, string>>): Promise<BareServer> {
  const server = await startBare(instance.programs, instance.dataDir, { ...instance, settings });
  expect(server.up, server.words()).toBe(true);
  onTestFinished(() => server.stop());
  return server;
}

async function receive(instance: Instance): Promise<Running> {
  const running = start(instance, ['wal', 'receive']);
  await until(
    async () => (await keepingOf(instance))?.state === 'keeping',
    () => `nothing is kept:\n${running.words()}`,
  );
  return running;
}

/** The data is gone; what is in the repository comes back, to its last commit. */
async function expectBack(instance: Instance, added: number): Promise<void> {
  await rm(instance.dataDir, { recursive: true });
  await makeDirectory(instance.dataDir, serverUser, 0o700);
  await ok(instance, 'backup', 'restore', '--to', 'latest', '--yes');
  const back = await boot(instance);
  await expectAllRows(instance, added);
  expect((await back.stop()).code).toBe(0);
}

test('the WAL of a server that dbkit does not supervise is received across its stops, and brings back its last row', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const server = await serve(instance, { max_slot_wal_keep_size: '1GB' });
  const receiving = await receive(instance);
  expect(await run(instance, ['wal', 'receive']), 'one keeps it').toMatchObject({ code: 75 });
  await ok(instance, 'backup', 'create');
  await addRows(instance, 1_000_001, 50);
  await untilKept(instance);
  expect(await keepingOf(instance)).toMatchObject({ guarded: true, problem: null, gaps: [] });
  await server.stop();
  const again = await serve(instance, { max_slot_wal_keep_size: '1GB' });
  await addRows(instance, 2_000_001, 50);
  await untilKept(instance);
  const ended = await receiving.stop();
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  expect(await keepingOf(instance)).toMatchObject({ state: 'stopped' });
  process.kill(again.pid, 'SIGQUIT');
  await again.exited;
  await expectBack(instance, 100);
});

nightly('without a limit on what slots hold none is made, and it is said what to set', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await serve(instance, {});
  const receiving = await receive(instance);
  await addRows(instance, 1_000_001, 50);
  await untilKept(instance);
  expect(await ask(instance, 'postgres', 'SELECT slot_name FROM pg_replication_slots')).toEqual([]);
  expect(await keepingOf(instance)).toMatchObject({ guarded: false, problem: null });
  expect(receiving.words()).toMatch(/max_slot_wal_keep_size is -1/);
  await receiving.stop();
});

nightly('a server whose archive_command is the shim comes back to its last segment', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const command = `${resolve('bin/dbkit-wal')} -d ${instance.backupDir} push %p`;
  const server = await serve(instance, { archive_mode: 'on', archive_command: command });
  await ok(instance, 'backup', 'create');
  await addRows(instance, 1_000_001, 50);
  const [row] = await ask<{ name: string }>(instance, 'postgres', 'SELECT pg_walfile_name(pg_switch_wal()) AS name');
  await until(
    async () => {
      const timelines = await (await archiveOf(instance)).timelines(new AbortController().signal);
      return timelines.some(({ segments }) => segments.some(({ name }) => name === row!.name));
    },
    () => `${row!.name} is not archived:\n${server.words()}`,
  );
  process.kill(server.pid, 'SIGQUIT');
  await server.exited;
  await expectBack(instance, 50);
});

test('a server that recovers from the archive is killed in the middle, and comes back with every row', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const earlier = join(instance.root, 'earlier');
  await copyTree(instance.dataDir, earlier);
  const shim = `${resolve('bin/dbkit-wal')} -d ${instance.backupDir}`;
  const server = await serve(instance, { archive_mode: 'on', archive_command: `${shim} push %p` });
  const ROUNDS = 12;
  for (let round = 1; round <= ROUNDS; round += 1) {
    await addRows(instance, round * 1_000_000, 5);
    await ask(instance, 'postgres', 'SELECT pg_switch_wal()');
  }
  const archived = async (): Promise<number> =>
    (await ask<{ count: number }>(instance, 'postgres', 'SELECT archived_count::int AS count FROM pg_stat_archiver'))[0]!.count;
  await until(
    async () => (await archived()) >= ROUNDS,
    () => `the WAL is not archived:\n${server.words()}`,
  );
  process.kill(server.pid, 'SIGQUIT');
  await server.exited;
  await rm(instance.dataDir, { recursive: true });
  await copyTree(earlier, instance.dataDir);
  await writeFile(join(instance.dataDir, 'recovery.signal'), '');
  await ownedBy(join(instance.dataDir, 'recovery.signal'), serverUser);
  const wal = join(instance.dataDir, 'pg_wal');
  const laidOut = async (): Promise<readonly string[]> => {
    const [folder] = (await readdir(wal)).filter((name) => name.startsWith('.dbkit-ahead-'));
    return folder === undefined ? [] : namesIn(join(wal, folder));
  };
  const settings = { hot_standby: 'off', restore_command: `sleep 0.2; ${shim} fetch %f "%p"` };
  const recovering = startBare(instance.programs, instance.dataDir, { ...instance, settings });
  await until(
    async () => (await laidOut()).length > 2,
    () => 'nothing was unpacked ahead',
  );
  process.kill(Number((await readFile(join(instance.dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]), 'SIGKILL');
  expect((await recovering).up).toBe(false);
  await untilNoneIn(instance.root);
  await serve(instance, settings);
  await expectAllRows(instance, ROUNDS * 5);
  expect((await readdir(wal)).filter((name) => name.startsWith('.dbkit'))).toEqual([]);
});
