import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findBinaries } from '../../src/instance/binaries.ts';
import type { System } from '../../src/kernel/machine.ts';

const signal = new AbortController().signal;

/** A machine with programs of 18 in one folder, and of 14 in another, which PATH may name. */
async function machine({ oldInPath }: { readonly oldInPath: boolean }) {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-binaries-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const folder = async (major: number): Promise<string> => {
    const bin = join(root, `${major}`, 'bin');
    await mkdir(bin, { recursive: true });
    for (const name of ['postgres', 'initdb']) await writeFile(join(bin, name), '', { mode: 0o755 });
    return bin;
  };
  const [old, next] = [await folder(14), await folder(18)];
  const system = {
    childEnvironment: { PATH: oldInPath ? old : '' },
    rights: { asCaller: <T>(act: () => T): T => act() },
    reachableByOthers: async () => true,
    runner: { run: async ({ file }: { file: string }) => ({ stdout: `postgres (PostgreSQL) ${file.startsWith(old) ? '14.9' : '18.4'}` }) },
  } as unknown as System;
  const refused = (forInstance: boolean, directory: string | undefined = next) =>
    findBinaries({ major: 14, directory, forInstance }, system, signal);
  return { old, next, refused };
}

test('a configured folder of another major: where the right programs are is said, and nobody has to install them', async () => {
  const { old, next, refused } = await machine({ oldInPath: true });
  await expect(refused(true)).rejects.toMatchObject({
    code: 'data.version',
    message: `the data is of PostgreSQL 14, but the programs in ${next} are of 18`,
    hint: `\`dbkit upgrade --dry-run\` says what an upgrade takes; or set POSTGRES_BIN_DIR to ${old}, where those of 14 are; nothing was changed`,
  });
  await expect(refused(false)).rejects.toMatchObject({
    hint: `set POSTGRES_BIN_DIR to ${old}, where those of 14 are; nothing was changed`,
  });
});

test('where they are nowhere, they are to be installed', async () => {
  const { refused } = await machine({ oldInPath: false });
  await expect(refused(true)).rejects.toMatchObject({ hint: expect.stringContaining('apt-get install postgresql-14') });
  await expect(refused(false)).rejects.toMatchObject({ hint: expect.stringContaining('or dump it there and restore into 18') });
});
