import { execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyFile } from '../../src/backups/copy-file.ts';
import { fromText } from '../../src/formats/byte-path.ts';
import { clearStaleSocket } from '../../src/instance/guard/ports.ts';
import { readAsCaller } from '../../src/machine/privileges.ts';
import { readJournal } from '../../src/recovery/journal.ts';
import { testSystem } from '../backups/copy-engine.fixture.ts';
import { isRoot } from '../harness/as-user.ts';

/** In a folder that others may write, anybody puts a pipe where dbkit reads: it would wait for a writer that never comes. */
let root: string;
const pipe = (name: string): string => {
  const path = join(root, name);
  execFileSync('mkfifo', [path]);
  return path;
};
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dbkit-test-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('the lock of a socket, in a folder like /tmp', async () => {
  pipe('.s.PGSQL.5432.lock');
  await clearStaleSocket(root, 5432, await testSystem([]));
});

test('the journal of a replacement, in the folder of the server’s user', async () => {
  mkdirSync(join(root, '.dbkit'));
  const journal = pipe('.dbkit/journal.json');
  expect(await readJournal({ journal } as never)).toBe('broken');
});

test('a file of the data that is copied', () => {
  const from = fromText(pipe('00000009.history'));
  const to = fromText(join(root, 'copy'));
  const sizes = { sizeBytes: 5, sizeMaxBytes: 6, mode: 0o600 };
  expect(() => copyFile({ path: from, from, to, ...sizes, owner: undefined, pages: undefined, sync: false })).toThrow(
    /is not a regular file/,
  );
});

test.runIf(isRoot)('the file of a secret that the server’s user keeps: root waits for no pipe of his, and for its own', () => {
  const path = pipe('alert-url');
  chownSync(path, 54_321, 54_321);
  expect(() => readAsCaller(path)).toThrow(/is no regular file/);
  const own = pipe('identity');
  const writer = spawn('sh', ['-c', 'sleep 0.2; echo AGE-SECRET-KEY-1 > "$0"', own]);
  expect(readAsCaller(own)).toBe('AGE-SECRET-KEY-1\n');
  writer.unref();
});

test('a device gives nothing, or no more than fits', () => {
  expect(readAsCaller('/dev/null')).toBe('');
  expect(() => readAsCaller('/dev/zero')).toThrow(/too large/);
});
