import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { removeTree } from '../../src/backups/remove-tree.ts';
import { isThere } from '../../src/machine/is-there.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dbkit-remove-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
});

test('everything below goes, names that are not UTF-8 too, and what a link leads to stays', async () => {
  const tree = join(root, 'tree');
  await mkdir(join(tree, 'a/b'), { recursive: true });
  await mkdir(join(root, 'kept'));
  await writeFile(join(root, 'kept/file'), 'kept');
  await symlink(join(root, 'kept'), join(tree, 'a/link'));
  await symlink('nowhere', join(tree, 'dangling'));
  for (let n = 0; n < 50; n += 1) await writeFile(join(tree, 'a/b', String(n)), 'x');
  await writeFile(Buffer.concat([Buffer.from(`${tree}/a/`), Buffer.from([0xff, 0xfe])]), 'x');
  await removeTree(tree);
  expect(await isThere(tree)).toBe(false);
  expect(await readFile(join(root, 'kept/file'), 'utf8')).toBe('kept');
});

test('a file or a link by itself goes, and what is not there is removed already', async () => {
  await writeFile(join(root, 'file'), 'x');
  await symlink(root, join(root, 'link'));
  for (const name of ['file', 'link', 'none', 'none/below']) await removeTree(join(root, name));
  expect(await isThere(join(root, 'file'))).toBe(false);
  expect(await isThere(join(root, 'link'))).toBe(false);
  expect(await isThere(root)).toBe(true);
});

test.skipIf(process.getuid?.() === 0)('what may not be removed stays, all else goes, and that is told', async () => {
  const tree = join(root, 'tree');
  for (const folder of ['a', 'closed', 'z']) await mkdir(join(tree, folder), { recursive: true });
  for (const file of ['a/file', 'closed/file', 'z/file']) await writeFile(join(tree, file), 'x');
  await chmod(join(tree, 'closed'), 0o500);
  await expect(removeTree(tree)).rejects.toMatchObject({ code: 'EACCES' });
  expect(await readdir(tree)).toEqual(['closed']);
  await chmod(join(tree, 'closed'), 0o700);
});

test('a path below a file is refused as the system does', async () => {
  await writeFile(join(root, 'file'), 'x');
  await expect(removeTree(join(root, 'file/below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
});
