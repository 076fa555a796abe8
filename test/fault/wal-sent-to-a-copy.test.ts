import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { formatLsn, parseLsn } from '../../src/formats/wal-segment.ts';
import { newIdentity } from '../../src/store/age.ts';
import type { WalStatus } from '../../src/wal/status.ts';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, type Ended, type Running, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { freeze, until } from '../harness/processes.ts';
import { keepingOf, untilKept, withArchive } from '../wal/kept.ts';
import { startWriter, type Writer } from './acknowledged.ts';
import { scenario } from './disaster.ts';

const ok = async (instance: Instance, ...words: string[]): Promise<Ended> => {
  const ended = await run(instance, words, withArchive);
  expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
  return ended;
};

const statusOf = async (instance: Instance): Promise<WalStatus> =>
  (JSON.parse((await ok(instance, 'wal', 'status', '--json')).stdout) as { report: WalStatus }).report;

/** What sends WAL to the copy, by the words it was started with. */
async function senderOf({ root }: Instance): Promise<number | undefined> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (words.includes('--follow') && words.includes('nas') && environment.includes(root)) return Number(pid);
  }
  return undefined;
}

/** Waits until all that is durable now is in the copy; the rows that were acknowledged before. */
async function untilSent(instance: Instance, writer: Writer, running: Running): Promise<number> {
  const acknowledged = writer.acknowledged().length;
  const flushed = await untilKept(instance);
  let last = '';
  await until(
    async () => {
      const { end } = (await statusOf(instance)).copies[0]!;
      last = end?.lsn ?? 'nothing';
      return end !== null && parseLsn(end.lsn) >= flushed;
    },
    () => `the copy has ${last}, not ${formatLsn(flushed)}:\n${running.words()}`,
    40_000,
  );
  return acknowledged;
}

/** Only the configuration and the place of the copies are left. Rows that were acknowledged and are missing, of the first so many. */
async function missingFrom(instance: Instance, writer: Writer, count: number): Promise<number> {
  for (const dir of [instance.dataDir, instance.backupDir, instance.stateDir]) await rm(dir, { recursive: true });
  await makeDirectory(instance.dataDir, serverUser, 0o700);
  await mkdir(instance.backupDir);
  await ok(instance, 'backup', 'restore', '--from', 'nas', '--to', 'latest', '--yes');
  const back = await boot(instance, withArchive);
  const ids = writer
    .acknowledged()
    .slice(0, count)
    .map(({ id }) => id);
  expect(ids.length, 'nothing was acknowledged in time').toBeGreaterThan(20);
  const there = await askNumber(instance, 'app', `SELECT count(*) FROM acknowledged WHERE id BETWEEN ${ids[0]} AND ${ids.at(-1)}`);
  expect((await back.stop()).code).toBe(0);
  return ids.length - there;
}

scenario(
  {
    name: 'the machine burns between two backups; the place of the copies has hung, was away and came back, and what sends to it was killed',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none that the copy was sent: it is seconds behind',
    from: 'empty',
    longTier: true,
  },
  async (instance) => {
    const place = join(instance.root, 'nas');
    await makeDirectory(place, serverUser, 0o700);
    await configure(instance, {
      postgresql: { initdbArgs: '--wal-segsize=1' },
      wal: { copySeconds: 0.2 },
      copies: { nas: { type: 'directory', path: place } },
      health: { archiveDelay: { warning: 1, critical: 600 } },
    });
    const running = await boot(instance, withArchive);
    await ok(instance, 'backup', 'create');
    const writer = await startWriter(instance);
    await untilSent(instance, writer, running);
    const first = await senderOf(instance);

    await freeze(first!); // As a mount does whose other end has gone.
    await ask(instance, 'app', 'CREATE TABLE big AS SELECT generate_series(1, 60000) AS id');
    await untilKept(instance);
    expect(await keepingOf(instance), 'the keeper does not wait for it').toMatchObject({ state: 'keeping', problem: null });
    await until(
      async () => ((await statusOf(instance)).copies[0]!.lag?.seconds ?? 0) > 1,
      () => 'nobody says that the copy is behind',
    );
    expect(await run(instance, ['health', '--probe', 'copies', '--strict'], withArchive)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/nas: its WAL is .* behind, for/),
    });
    process.kill(first!, 'SIGCONT');
    await untilSent(instance, writer, running);

    process.kill(first!, 'SIGKILL');
    await rename(place, `${place}.gone`);
    await until(
      async () => {
        await ask(instance, 'app', 'INSERT INTO big SELECT generate_series(1, 1000)');
        return (await statusOf(instance)).copies[0]!.failing !== null;
      },
      () => `nobody says that the place is away:\n${running.words()}`,
      30_000,
    );
    expect((await statusOf(instance)).copies[0]).toMatchObject({ failing: { message: expect.stringContaining('is not there') } });
    await rename(`${place}.gone`, place);
    const count = await untilSent(instance, writer, running);
    expect(await senderOf(instance)).not.toBe(first);

    await crash(instance, running);
    await writer.stop();
    await until(
      async () => (await senderOf(instance)) === undefined,
      () => 'what sends WAL outlives the supervisor that was killed',
      30_000,
    );
    expect(await missingFrom(instance, writer, count)).toBe(0);
  },
);

scenario(
  {
    name: 'the keys of a copy are changed under what sends WAL there, and then the machine burns: the new key alone brings everything back',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none that the copy was sent: it is seconds behind',
    from: 'empty',
    longTier: true,
  },
  async (instance) => {
    const place = join(instance.root, 'nas');
    await makeDirectory(place, serverUser, 0o700);
    const [old, today] = [await newIdentity(), await newIdentity()];
    const oldFile = join(instance.root, 'old.txt');
    const newFile = join(instance.root, 'new.txt');
    await writeFile(oldFile, `${old.identity}\n`, { mode: 0o600 });
    await writeFile(newFile, `${today.identity}\n`, { mode: 0o600 });
    const sealedTo = (recipient: string, identity?: string) =>
      configure(instance, {
        postgresql: { initdbArgs: '--wal-segsize=1' },
        wal: { copySeconds: 0.2 },
        copies: { nas: { type: 'directory', path: place, recipients: [recipient], ...(identity ? { identity: { file: identity } } : {}) } },
      });
    await sealedTo(old.recipient);
    const running = await boot(instance, withArchive);
    await ok(instance, 'backup', 'create');
    const writer = await startWriter(instance);
    await untilSent(instance, writer, running);
    const first = await senderOf(instance);

    await sealedTo(today.recipient);
    await ok(instance, 'keys', 'rotate', '--identity', oldFile);
    await until(
      async () => ![first, undefined].includes(await senderOf(instance)),
      () => `what sends WAL has the keys of before:\n${running.words()}`,
    );
    await untilSent(instance, writer, running);
    await ok(instance, 'backup', 'create');
    const count = await untilSent(instance, writer, running);
    expect((await ok(instance, 'keys', 'list')).stdout).toContain('nothing depends on a key of before');

    await crash(instance, running);
    await writer.stop();
    await sealedTo(today.recipient, newFile);
    expect(await missingFrom(instance, writer, count)).toBe(0);
  },
);
