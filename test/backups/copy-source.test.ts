import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { type CopyTask, copyFile } from '../../src/backups/copy-file.ts';
import { fromText } from '../../src/formats/byte-path.ts';
import { loadZstdSync } from '../../src/formats/zstd.ts';
import { failing, withCalls } from '../harness/other-calls.ts';

/** A regular file whose first byte cannot be read: EIO, as of a bad sector. */
const BAD_SECTOR = fromText('/proc/self/mem');
const PAGE = 8192;
let folder: string;
const at = (name: string) => fromText(join(folder, name));
const taskOf = (more: Partial<CopyTask>): CopyTask => ({
  path: fromText('base/1/2'),
  from: at('from'),
  to: at('to'),
  sizeBytes: 4 * PAGE,
  sizeMaxBytes: 4 * PAGE,
  mode: 0o600,
  owner: undefined,
  pages: undefined,
  sync: false,
  ...more,
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dbkit-source-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await loadZstdSync();
});

test('a source that cannot be read is a result where the task wants it so, else the failure that it is', () => {
  const bad = { from: BAD_SECTOR, untrusted: true };
  expect(copyFile(taskOf({ ...bad, tellsUnreadable: true }))).toMatchObject({
    copied: undefined,
    unreadable: expect.stringMatching(/EIO/),
  });
  expect(() => copyFile(taskOf({ ...bad, to: at('other') }))).toThrow(expect.objectContaining({ code: 'EIO' }));
});

test('a source that cannot be read is that, too, when it is read once more because most of it differs from the earlier copy', async () => {
  await writeFile(join(folder, 'from'), Buffer.alloc(4 * PAGE, 'a'));
  await writeFile(join(folder, 'earlier'), Buffer.alloc(4 * PAGE, 'b'));
  const against = { how: 'delta' as const, number: 1, earlier: at('earlier'), old: at('1.old'), fresh: at('1.new') };
  let opened = 0;
  const isSecond = (path: string): boolean => path === join(folder, 'from') && ++opened % 2 === 0;
  const copied = (more: Partial<CopyTask>) =>
    withCalls({ openSync: failing('EIO', isSecond) }, () => copyFile(taskOf({ against, ...more })));
  expect(await copied({ tellsUnreadable: true })).toMatchObject({ copied: undefined, unreadable: expect.stringMatching(/EIO/) });
  await expect(copied({})).rejects.toMatchObject({ code: 'EIO', message: expect.stringMatching(/from/) });
});

test.each([
  ['an earlier copy that cannot be read', () => Promise.resolve(BAD_SECTOR), /EIO/],
  ['an earlier copy that is a folder', () => mkdir(join(folder, 'earlier')).then(() => at('earlier')), /not a regular file/],
  ['an earlier copy that is gone', () => Promise.resolve(at('earlier')), undefined],
  [
    'an earlier copy that differs everywhere',
    async () => {
      await writeFile(join(folder, 'earlier'), Buffer.alloc(4 * PAGE, 'b'));
      return at('earlier');
    },
    undefined,
  ],
])('%s: the file is copied whole, and nothing of the comparison stays', async (_, earlierOf, damage) => {
  const now = Buffer.alloc(4 * PAGE, 'a');
  await writeFile(join(folder, 'from'), now);
  const against = { how: 'delta' as const, number: 1, earlier: await earlierOf(), old: at('1.old'), fresh: at('1.new') };
  expect(copyFile(taskOf({ against }))).toMatchObject({
    copied: { sizeBytes: now.length, compared: undefined, earlierDamage: damage && expect.stringMatching(damage) },
  });
  expect(await readFile(join(folder, 'to'))).toEqual(now);
  expect([existsSync(join(folder, '1.old')), existsSync(join(folder, '1.new'))]).toEqual([false, false]);
});
