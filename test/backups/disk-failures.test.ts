import { expect, test } from 'vitest';
import { inWords } from '../../src/backups/disk-failures.ts';
import { DbkitError } from '../../src/kernel/errors.ts';

const failing = (code: string): Promise<unknown> =>
  inWords('take a backup', () => Promise.reject(Object.assign(new Error(`${code}: no, open '/x'`), { code })));

test.each([
  ['ENOSPC', 'volume.full'],
  ['EDQUOT', 'volume.full'],
  ['EROFS', 'volume.read-only'],
  ['EIO', 'volume.failing'],
  ['EMFILE', 'machine.exhausted'],
  ['ENOMEM', 'machine.exhausted'],
  ['EACCES', 'data.owner'],
  ['ETIMEDOUT', 'service.failed'],
  ['ENOENT', 'command.failed'],
])('%s is told as %s, with what was being done', (errno, code) =>
  expect(failing(errno)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(/^cannot take a backup: /),
    hint: expect.any(String),
  }),
);

test('a failure that has words keeps them, and what no system call said stays what it is', async () => {
  const told = new DbkitError('backup.missing', 'there is none');
  await expect(inWords('x', () => Promise.reject(told))).rejects.toBe(told);
  const bug = new TypeError('undefined is not a function');
  await expect(inWords('x', () => Promise.reject(bug))).rejects.toBe(bug);
});
