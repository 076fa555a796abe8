import { readdir, readFile, realpath, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { markPaths } from '../../src/wal/mark.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { crash, scramble, zeroPage } from '../harness/breaking.ts';
import { boot, inspect, readRecovery, run } from '../harness/dbkit.ts';
import { copyTree } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { addRows, known } from '../harness/rows.ts';
import { archiveOf, untilKept } from '../wal/kept.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';
import { untilMarked } from './wal.ts';

const withArchive = { env: { DBKIT_WAL: 'tail' } };

const segmentNames = async ({ dataDir }: Instance): Promise<string[]> =>
  (await readdir(join(dataDir, 'pg_wal'))).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();

/** Five segments since the last checkpoint, all of them kept; the names of those that have rows, oldest first. */
async function fiveSegments(instance: Instance): Promise<string[]> {
  await ask(instance, 'app', 'CHECKPOINT');
  const [redo] = await ask<{ file: string }>(instance, 'app', 'SELECT redo_wal_file AS file FROM pg_control_checkpoint()');
  for (let round = 0; round < 4; round += 1) {
    await addRows(instance, known.ledger + 1 + round * 10, 10);
    await ask(instance, 'app', 'SELECT pg_switch_wal()');
  }
  await addRows(instance, known.ledger + 41, 10);
  const [last] = await ask<{ file: string }>(instance, 'app', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS file');
  await untilKept(instance);
  return (await segmentNames(instance)).filter((name) => name >= redo!.file && name <= last!.file);
}

interface Story {
  readonly what: string;
  readonly breaks: (instance: Instance, names: readonly string[]) => Promise<void>;
  /** The end of the WAL is that of the archive: nobody knows what was written behind it. */
  readonly endsInArchive: boolean;
}

const stories: readonly Story[] = [
  {
    what: 'a segment in the middle of what crash recovery must replay is gone',
    breaks: ({ dataDir }, names) => rm(join(dataDir, 'pg_wal', names[2]!)),
    endsInArchive: false,
  },
  {
    what: 'a segment in the middle of what crash recovery must replay is scrambled, and the one behind it is gone',
    breaks: async (instance, names) => {
      await scramble(instance, join('pg_wal', names[1]!));
      await rm(join(instance.dataDir, 'pg_wal', names[2]!));
    },
    endsInArchive: false,
  },
  {
    what: 'the newest segments are gone after a crash',
    breaks: async ({ dataDir }, names) => {
      for (const name of names.slice(-2)) await rm(join(dataDir, 'pg_wal', name));
    },
    endsInArchive: true,
  },
  {
    what: 'the segment with the checkpoint is scrambled after a crash',
    breaks: (instance, names) => scramble(instance, join('pg_wal', names[0]!)),
    endsInArchive: false,
  },
];

for (const { what, breaks, endsInArchive } of stories) {
  scenario(
    {
      name: `${what}, and the archive has it`,
      section: 'C',
      detectedBefore: true,
      healedBy: 'repair',
      rowsLost: endsInArchive ? 'none but those of the last second, which is told' : 'none: crash recovery replays the archive’s WAL',
      from: 'template',
    },
    async (instance) => {
      const running = await boot(instance, withArchive);
      const names = await fiveSegments(instance);
      await crash(instance, running);
      await breaks(instance, names);
      const seen = await segmentNames(instance);
      const plan = await run(instance, ['recover', '--dry-run'], withArchive);
      expect(plan.stdout).toContain('bring-wal-from-archive');
      expect(await segmentNames(instance), 'a plan writes nothing').toEqual(seen);

      const again = await boot(instance, withArchive);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), again.words()).toBe(known.ledger + 50);
      const report = await readRecovery(instance);
      expect(report, again.words()).toMatchObject({
        decision: 'repair',
        losses: endsInArchive ? [{ kind: 'window', upToLsn: null }] : [{ kind: 'nothing' }],
      });
      await addRows(instance, known.ledger + 51, 10);
      await untilKept(instance);
      await expectStopped(instance, await again.stop());
      expect((await inspect(instance, [], withArchive)).findings).toEqual([]);
    },
  );
}

scenario(
  {
    name: 'older data was put back, went on without dbkit and crashed: the archive is of another past and is not replayed over it',
    section: 'C',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'those of the past that was left, which is told; none of those that were written since',
    from: 'template',
  },
  async (instance) => {
    const older = join(instance.root, 'older');
    await expectStopped(instance, await (await boot(instance, withArchive)).stop());
    await copyTree(instance.dataDir, older);
    const left = await boot(instance, withArchive);
    for (let round = 0; round < 3; round += 1) {
      await addRows(instance, known.ledger + 1 + round * 10, 10);
      await ask(instance, 'app', 'SELECT pg_switch_wal()');
    }
    await untilKept(instance);
    await crash(instance, left);
    for (const name of await readdir(instance.socketDir)) await rm(join(instance.socketDir, name));
    await rm(instance.dataDir, { recursive: true });
    await rename(older, instance.dataDir);
    const bare = await startBare(instance.programs, instance.dataDir, { ...instance, settings: { fsync: 'on' } });
    expect(bare.up, bare.words()).toBe(true);
    await addRows(instance, known.ledger + 1_001, 100);
    process.kill(bare.pid, 'SIGKILL');
    await bare.exited;

    const again = await boot(instance, withArchive);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE id > 1000'), again.words()).toBe(known.ledger - 1000 + 100);
    expect(again.words()).not.toContain('bring-wal-from-archive');
    expect((await readRecovery(instance))?.losses).toMatchObject([{ kind: 'window' }]);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'the newest segments are gone after a crash, and the mark is from before them: the archive tells how far the WAL had come',
    section: 'C',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none but those of the last second, which is told',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance, withArchive);
    const marks = Object.values(markPaths(instance.stateDir, instance.dataDir));
    await untilMarked(instance);
    const before = await Promise.all(marks.map((path) => readFile(path)));
    const names = await fiveSegments(instance);
    await crash(instance, running);
    for (const [index, path] of marks.entries()) await writeFile(path, before[index]!);
    for (const name of names.slice(-2)) await rm(join(instance.dataDir, 'pg_wal', name));
    const again = await boot(instance, withArchive);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), again.words()).toBe(known.ledger + 50);
    expect(await readRecovery(instance), again.words()).toMatchObject({ decision: 'repair', losses: [{ kind: 'window', upToLsn: null }] });
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'dbkit was killed while it brought WAL of the archive into pg_wal',
    section: 'A',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none: the next start looks again',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance, withArchive);
    const names = await fiveSegments(instance);
    await crash(instance, running);
    for (const name of names.slice(1, 3)) await scramble(instance, join('pg_wal', name));
    const killed = await run(instance, ['entrypoint'], { env: { ...withArchive.env, DBKIT_FAIL_AT: 'repair.brought-back:1' } });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    const again = await boot(instance, withArchive);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), again.words()).toBe(known.ledger + 50);
    expect((await readRecovery(instance))?.losses, again.words()).toMatchObject([{ kind: 'nothing' }]);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'dbkit was killed when it had brought the end of the WAL from the archive: that more may have been there is told by the next start',
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none but those of the last second, which is told',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance, withArchive);
    const names = await fiveSegments(instance);
    await crash(instance, running);
    for (const name of names.slice(-2)) await rm(join(instance.dataDir, 'pg_wal', name));
    const killed = await run(instance, ['entrypoint'], { env: { ...withArchive.env, DBKIT_FAIL_AT: 'repair.done:1' } });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    const again = await boot(instance, withArchive);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), again.words()).toBe(known.ledger + 50);
    expect((await readRecovery(instance))?.losses, again.words()).toMatchObject([{ kind: 'window', upToLsn: null }]);
    await expectStopped(instance, await again.stop());
    const third = await boot(instance, withArchive);
    expect(third.words(), 'it is told once').not.toMatch(/committed after/);
    await third.stop();
  },
);

scenario(
  {
    name: 'a snapshot of the data’s volume is put back: the archive is not replayed over it, as whoever did that did not want what came after',
    section: 'C',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'those since the snapshot, which is told',
    from: 'template',
  },
  async (instance) => {
    const snapshot = join(instance.root, 'snapshot');
    const first = await boot(instance, withArchive);
    await addRows(instance, known.ledger + 1, 10);
    await untilMarked(instance);
    await crash(instance, first);
    await copyTree(instance.dataDir, snapshot);
    const second = await boot(instance, withArchive);
    await ask(instance, 'app', 'DROP TABLE documents', 'SELECT pg_switch_wal()');
    await addRows(instance, known.ledger + 11, 10);
    await untilKept(instance);
    await crash(instance, second);
    await rm(instance.dataDir, { recursive: true });
    await rename(snapshot, instance.dataDir);
    const { data } = markPaths('', instance.dataDir);
    const mark = JSON.parse(await readFile(data, 'utf8')) as { at: string };
    await writeFile(data, JSON.stringify({ ...mark, at: new Date(Date.parse(mark.at) - 3_600_000).toISOString() })); // An hour has passed since.

    const again = await boot(instance, withArchive);
    expect(again.words()).not.toContain('bring-wal-from-archive');
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM documents'), again.words()).toBe(known.documents);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 10);
    expect((await readRecovery(instance))?.losses).toMatchObject([{ kind: 'window' }]);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'a page of the newest segment is zeroed after a crash, and the archive ends in the middle of it: both together hold every row',
    section: 'C',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none: behind the archive’s end the server’s own WAL goes on',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance, withArchive);
    await ask(instance, 'app', 'CHECKPOINT', 'SELECT pg_switch_wal()');
    await addRows(instance, known.ledger + 1, 3_000);
    await untilKept(instance);
    await untilMarked(instance);
    const [last] = await ask<{ file: string }>(instance, 'app', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS file');
    await crash(instance, running);
    const archive = await archiveOf(instance);
    const tail = (await archive.timelines(new AbortController().signal)).at(-1)!.segments.at(-1)!;
    expect(tail).toMatchObject({ name: last!.file, kind: 'tail' });
    await truncate(tail.path, tail.sizeBytes - 100_000);
    await zeroPage(instance, join('pg_wal', last!.file), 3);
    const again = await boot(instance, withArchive);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), again.words()).toBe(known.ledger + 3_000);
    expect(await readRecovery(instance), again.words()).toMatchObject({ decision: 'repair', losses: [{ kind: 'nothing' }] });
    await expectStopped(instance, await again.stop());
  },
);

for (const comesBack of [true, false])
  scenario(
    {
      name: `a segment is gone after a crash, and the volume with the archive is not mounted: nothing is cut off before it is ${comesBack ? 'there again' : 'given up by a person'}`,
      section: 'C',
      detectedBefore: true,
      healedBy: 'repair',
      rowsLost: comesBack ? 'none' : 'those behind the gap, which is told',
      from: 'template',
    },
    async (instance) => {
      const running = await boot(instance, withArchive);
      const names = await fiveSegments(instance);
      await crash(instance, running);
      await rm(join(instance.dataDir, 'pg_wal', names[2]!));
      const places = { schema: 'dbkit.places/v1', mounts: { [instance.backupDir]: await realpath(instance.backupDir) } };
      await writeFile(join(instance.dataDir, '.dbkit/places.json'), JSON.stringify(places));
      const away = join(instance.root, 'away');
      await rename(join(instance.backupDir, 'wal'), away);
      const refused = await run(instance, ['entrypoint'], withArchive);
      expect(refused, refused.stderr).toMatchObject({
        code: 77,
        stderr: expect.stringMatching(/the archive that may have it cannot be read/),
      });
      if (!comesBack) {
        const repaired = await run(instance, ['recover', '--strategy', 'repair', '--yes'], withArchive);
        expect(repaired, repaired.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(/lost: what was committed after LSN/) });
        const going = await boot(instance, withArchive);
        expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), going.words()).toBe(known.ledger + 20);
        return expectStopped(instance, await going.stop());
      }
      await rename(away, join(instance.backupDir, 'wal'));
      const again = await boot(instance, withArchive);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger'), again.words()).toBe(known.ledger + 50);
      expect((await readRecovery(instance))?.losses, again.words()).toMatchObject([{ kind: 'nothing' }]);
      await expectStopped(instance, await again.stop());
    },
  );
