import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isInitializedByDbkit } from '../../src/instance/initialize/configuration.ts';

test('whose an instance is: its configuration says so; where that cannot be read nobody knows, and no slot is given up', async () => {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-whose-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const conf = join(root, 'postgresql.conf');
  expect(await isInitializedByDbkit(root), 'there is none').toBe(false);
  await writeFile(conf, "# somebody's\n");
  expect(await isInitializedByDbkit(root)).toBe(false);
  await writeFile(conf, '# Added by dbkit at initialisation; port …\n');
  expect(await isInitializedByDbkit(root)).toBe(true);
  await rm(conf);
  await mkdir(conf);
  expect(await isInitializedByDbkit(root), 'no server reads a folder').toBe(false);
  await expect(isInitializedByDbkit(join(root, 'x'.repeat(300)))).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
});
