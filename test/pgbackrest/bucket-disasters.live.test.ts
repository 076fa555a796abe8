import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber, inSession } from '../harness/ask.ts';
import { boot, type Ended, type Running, run, start } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { killAllIn, processesIn, until } from '../harness/processes.ts';
import { addRows, expectAllRows, known, ledgerRow } from '../harness/rows.ts';
import { isLongTier } from '../harness/tier.ts';
import { hasBucket, openBucket, type RealBucket } from './real-bucket.ts';

/** Debian 12's pgBackRest knows PostgreSQL up to 15. */
const programs = installed.find(({ major }) => major <= 15);
const long = test.skipIf(!isLongTier || !hasBucket || programs === undefined || !existsSync('/usr/bin/pgbackrest'));
const MINUTES = 60_000;
const SEGMENT_BYTES = 16n * 1024n * 1024n;

const ok = async (instance: Instance, ...words: string[]): Promise<Ended> => {
  const ended = await run(instance, words);
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};

/** An instance that serves, whose only repository is the bucket. */
async function servedFrom(bucket: RealBucket) {
  const made = await openInstance({ programs: programs!, from: 'template' });
  const instance: Instance = { ...made, env: { ...made.env, ...bucket.env } };
  await configure(instance, {
    postgresql: { settings: { archive_timeout: '2s' } },
    backup: { engine: 'pgbackrest', afterStart: false },
    pgbackrest: { repository: bucket.repository },
  });
  const running = await boot(instance);
  await ok(instance, 'backup', 'create');
  return { instance, running };
}

/** The machine is gone: what is left is the configuration, and the bucket. */
async function loseAll({ root, dataDir, stateDir, backupDir }: Instance): Promise<void> {
  await killAllIn(root);
  for (const folder of [dataDir, stateDir, backupDir])
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
}

/** One row, one commit, for as long as it says; the end of the WAL that each needs, in the order of their ids. */
async function writeRows(instance: Instance, firstId: number, forMs: number): Promise<readonly bigint[]> {
  return inSession(instance, 'app', async (client) => {
    const ends: bigint[] = [];
    for (const untilMs = performance.now() + forMs; performance.now() < untilMs; ) {
      const id = firstId + ends.length;
      await client.query(`INSERT INTO ledger SELECT ${ledgerRow} FROM generate_series(${id}, ${id}) i`);
      const { rows } = await client.query<{ lsn: string }>(`SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS lsn`);
      ends.push(BigInt(rows[0]!.lsn));
    }
    return ends;
  });
}

/** How far the segments in the bucket lead without a hole, by pgBackRest's own list. */
async function archivedUpTo({ stateDir }: Instance, timeline: number): Promise<bigint> {
  const words = [`--config=${stateDir}/pgbackrest/pgbackrest.conf`, '--stanza=main', 'repo-ls', '--recurse', 'archive/main'];
  const { stdout } = await promisify(execFile)('/usr/bin/pgbackrest', words, { cwd: '/', ...serverUser });
  const numbers = [...stdout.matchAll(/([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})-[0-9a-f]{40}/g)]
    .filter(([, of]) => Number.parseInt(of!, 16) === timeline)
    .map(([, , high, low]) => BigInt(`0x${high}`) * 256n + BigInt(`0x${low}`))
    .sort((a, b) => Number(a - b));
  expect(numbers.length).toBeGreaterThan(0);
  let last = numbers[0]!;
  for (const one of numbers) if (one === last + 1n) last = one;
  return (last + 1n) * SEGMENT_BYTES;
}

long(
  'the machine is lost with all that was on it, twice: from the bucket alone every row up to the last archived segment is back',
  async () => {
    const { instance } = await servedFrom(await openBucket());
    let added = 0;
    for (const timeline of [1, 2]) {
      const ends = await writeRows(instance, known.ledger + added + 1, 9_000);
      await killAllIn(instance.root);
      const end = await archivedUpTo(instance, timeline);
      const safe = ends.filter((one) => one <= end).length;
      expect(safe, 'rows that were archived').toBeGreaterThan(0);
      await loseAll(instance);
      const blank = await boot(instance);
      const back = (await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')) - known.ledger - added;
      expect(back, `of ${ends.length} rows, of which ${safe} were archived\n${blank.words()}`).toBeGreaterThanOrEqual(safe);
      expect(await askNumber(instance, 'app', 'SELECT max(id) FROM ledger')).toBe(known.ledger + added + back);
      await expectAllRows(instance, added + back);
      added += back;
      if (timeline === 2) await blank.stop();
    }
  },
  5 * MINUTES,
);

const AWAY = /the repository of pgBackRest does not give \w+/;

const untilSaid = (running: Running, words: RegExp): Promise<void> =>
  until(
    () => words.test(running.words()),
    () => `${words} is not said:\n${running.words()}`,
  );

const isFetching = ({ root }: Instance): boolean =>
  processesIn(root).some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('archive-get');
    } catch {
      return false; // It has ended.
    }
  });

/** More WAL than is fetched ahead at once; pg_wal does not have it any more. */
async function writeMuch(instance: Instance): Promise<number> {
  for (let round = 0; round < 14; round += 1) {
    await addRows(instance, known.ledger + 1 + round * 10, 10);
    await ask(
      instance,
      'app',
      'CREATE TABLE IF NOT EXISTS filler (t text)',
      'INSERT INTO filler SELECT repeat(md5(i::text), 9) FROM generate_series(1, 20000) i',
      'SELECT pg_switch_wal()',
    );
  }
  const archived = `SELECT count(*) FROM pg_stat_archiver, pg_walfile_name(pg_current_wal_lsn()) WHERE last_archived_wal >= (SELECT pg_walfile_name('0/0'::pg_lsn + (pg_current_wal_lsn() - '0/0') - 16777216))`;
  await until(
    async () => (await askNumber(instance, 'app', archived)) === 1,
    () => 'the WAL does not come into the bucket',
  );
  await ask(instance, 'app', 'CHECKPOINT', 'SELECT pg_switch_wal()', 'CHECKPOINT');
  return 140;
}

long(
  'the bucket goes away in the middle of a recovery: it is told, the running data stay, and the same command restores once it is back',
  async () => {
    const bucket = await openBucket();
    const { instance, running } = await servedFrom(bucket);
    const rows = await writeMuch(instance);
    const restore = ['backup', 'restore', '--to', 'latest', '--yes', '--json'];
    const restoring = start(instance, restore);
    await until(
      () => isFetching(instance),
      () => `no WAL is fetched:\n${restoring.words()}`,
    );
    await bucket.cut();
    const failed = await restoring.ended;
    expect(failed).toMatchObject({ code: 69, stdout: expect.stringMatching(/"changed": false/), stderr: expect.stringMatching(AWAY) });
    await expectAllRows(instance, rows);
    await addRows(instance, known.ledger + rows + 1, 5); // It serves and takes writes.
    await bucket.mend();
    await ok(instance, ...restore);
    await expectAllRows(instance, rows + 5);
    await running.stop();
  },
  5 * MINUTES,
);

long(
  'the bucket goes away while a blank machine recovers from it, which is killed then: it is told, and the next start goes on when it is back',
  async () => {
    const bucket = await openBucket();
    const { instance } = await servedFrom(bucket);
    const rows = await writeMuch(instance);
    await loseAll(instance);
    const first = start(instance, ['entrypoint']);
    await until(
      () => isFetching(instance),
      () => `no WAL is fetched:\n${first.words()}`,
    );
    await bucket.cut();
    await untilSaid(first, AWAY);
    await killAllIn(instance.root);
    await bucket.mend();
    const blank = await boot(instance);
    await expectAllRows(instance, rows);
    await blank.stop();
  },
  5 * MINUTES,
);

long(
  'a blank machine whose bucket does not answer says so, and makes no new cluster',
  async () => {
    const bucket = await openBucket();
    const { instance } = await servedFrom(bucket);
    await loseAll(instance);
    await bucket.cut();
    const refused = await start(instance, ['entrypoint']).ended;
    expect(refused, refused.stderr).toMatchObject({ code: 69, stderr: expect.stringContaining('check that its repository answers') });
    expect(existsSync(join(instance.dataDir, 'PG_VERSION'))).toBe(false);
    await bucket.mend();
    const blank = await boot(instance);
    await expectAllRows(instance, 0);
    await blank.stop();
  },
  5 * MINUTES,
);
