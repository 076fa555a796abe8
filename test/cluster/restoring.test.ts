import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { moveAside } from '../../src/cluster/member/set-aside-member.ts';
import type { RestoreJournal } from '../../src/cluster/restoring/journal.ts';
import { setAsideNoted } from '../../src/cluster/restoring/set-aside-noted.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';

const files = createFiles({ warn: () => undefined } as unknown as Parameters<typeof createFiles>[0]);
const owner = { uid: process.getuid!(), gid: process.getgid!(), name: 'me', home: '/' };
let folder: string;
let dataDir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dbkit-aside-'));
  dataDir = join(folder, 'data');
  mkdirSync(dataDir);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fill = (of: string, ...names: readonly string[]): void => {
  for (const name of names) writeFileSync(join(dataDir, name), of);
};
const read = (path: string): Record<string, string> =>
  Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name), 'utf8')]));

/** Sets aside as one run does; `killedAfter` entries it is gone. Resolves with what the journal on the disk says. */
async function run(begun: RestoreJournal, killedAfter = Number.POSITIVE_INFINITY): Promise<RestoreJournal> {
  let kept = begun;
  let left = killedAfter;
  const reached = (): void => {
    left -= 1;
    if (left === 0) throw new Error('killed');
  };
  const keep = async (journal: RestoreJournal): Promise<void> => {
    kept = journal;
  };
  const wish = { member: 'n1', dataDir, backupDir: join(folder, 'backup'), owner, kind: 'replaced' } as const;
  const ended = setAsideNoted(begun, wish, keep, { files, clock, reached });
  if (killedAfter === Number.POSITIVE_INFINITY) expect(await ended).toEqual(kept);
  else await expect(ended).rejects.toThrow('killed');
  return kept;
}

const nothing = { first: 'n1', oldData: null, aside: [] } as unknown as RestoreJournal;

test('a run that was killed between two entries goes on in the same folder', async () => {
  fill('old', 'PG_VERSION', 'base', 'global');
  const half = await run(nothing, 2);
  expect(half.aside).toMatchObject([{ isWhole: false }]);
  const { aside, oldData } = await run(half);
  expect(aside).toEqual([{ member: 'n1', path: oldData, isWhole: true }]);
  expect(read(oldData!)).toEqual({ PG_VERSION: 'old', base: 'old', global: 'old' });
});

test.each([
  ['at once', false],
  ['and was asked again', true],
])('a run that was killed after the last entry %s: half of a copy goes to a folder of its own', async (_when, isAskedAgain) => {
  fill('old', 'PG_VERSION', 'base', 'global');
  let journal = await run(nothing, 3);
  expect(journal.aside).toMatchObject([{ isWhole: false }]);
  if (isAskedAgain) {
    journal = await run(journal);
    expect(journal.aside).toMatchObject([{ isWhole: true }]);
  }
  fill('copy', 'PG_VERSION', 'backup_label');
  const { aside, oldData } = await run(journal);
  expect(aside).toMatchObject([
    { path: oldData, isWhole: true },
    { member: 'n1', isWhole: true },
  ]);
  expect(read(oldData!)).toEqual({ PG_VERSION: 'old', base: 'old', global: 'old' });
  expect(read(aside[1]!.path)).toEqual({ PG_VERSION: 'copy', backup_label: 'copy' });
});

test('nothing that was set aside is written over: a name that is there refuses before anything moves', async () => {
  const there = join(folder, 'there');
  mkdirSync(there);
  writeFileSync(join(there, 'PG_VERSION'), 'old');
  fill('copy', 'PG_VERSION', 'global');
  await expect(moveAside(dataDir, there, { files, reached: () => undefined })).rejects.toMatchObject({ code: 'file.exists' });
  expect(read(there)).toEqual({ PG_VERSION: 'old' });
  expect(read(dataDir)).toEqual({ PG_VERSION: 'copy', global: 'copy' });
});
