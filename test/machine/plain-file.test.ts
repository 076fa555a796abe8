import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readPlain, readPlainSync, readPlainText } from '../../src/machine/plain-file.ts';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'dbkit-plain-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

test('a file is read whole, also through a link; what is missing is missing', async () => {
  const path = join(await folder(), 'file');
  await writeFile(path, 'rows\n');
  await symlink(path, `${path}.link`);
  expect([await readPlainText(path), (await readPlain(`${path}.link`)).toString(), readPlainSync(path).toString()]).toEqual([
    'rows\n',
    'rows\n',
    'rows\n',
  ]);
  await expect(readPlain(`${path}.gone`)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(() => readPlainSync(`${path}.gone`)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

test('nobody is waited for: a pipe, a device and a directory are no files', async () => {
  const root = await folder();
  execFileSync('mkfifo', [join(root, 'pipe')]);
  await symlink('/dev/zero', join(root, 'device'));
  await mkdir(join(root, 'directory'));
  for (const name of ['pipe', 'device', 'directory']) {
    await expect(readPlain(join(root, name)), name).rejects.toMatchObject({ code: 'EISDIR' });
    expect(() => readPlainSync(join(root, name)), name).toThrow(expect.objectContaining({ code: 'EISDIR' }));
  }
});
