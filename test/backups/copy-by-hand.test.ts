import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { copyOut } from '../../src/backups/offsite/copy-out.ts';
import { plainBackups } from '../../src/backups/offsite/held-backups.ts';
import { openPlace } from '../../src/backups/offsite/place.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { clock } from '../../src/machine/clock.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { ageSeal, newIdentity } from '../../src/store/age.ts';
import { openDirectoryStore } from '../../src/store/directory.ts';

const { signal } = new AbortController();
const label = 'data_20261120_195400';
const contents = {
  PG_VERSION: Buffer.from('15\n'),
  empty: Buffer.alloc(0),
  'base/5/1': Buffer.alloc(3_000_000, 'rows '),
  'base/5/a b\tü%': Buffer.alloc(70_000, 'strange names'),
};
const there = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

/** `age --decrypt -i FILE OBJECT`, where the machine has no age of its own. */
const AGE = `#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Decrypter } from '${pathToFileURL('node_modules/age-encryption/dist/index.js').href}';
const [, , , , identity, file] = process.argv;
const decrypter = new Decrypter();
decrypter.addIdentity(readFileSync(identity, 'utf8').trim());
process.stdout.write(await decrypter.decrypt(readFileSync(file)));
`;

test.skipIf(!there('zstd'))('the shell script of REPOSITORY-FORMAT.md restores an encrypted copy, and tells a damaged one', async () => {
  const root = await mkdtemp(join(tmpdir(), 'dbkit-by-hand-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const [backupDir, place] = [join(root, 'backups'), join(root, 'place')];
  for (const folder of [place, join(root, 'bin'), join(backupDir, label, 'base', '5'), join(backupDir, label, 'pg_twophase')])
    await mkdir(folder, { recursive: true });
  for (const [path, bytes] of Object.entries(contents)) await writeFile(join(backupDir, label, path), bytes);
  await writeFile(join(backupDir, `${label}.json`), '{}\n');
  const { identity, recipient } = await newIdentity();
  const files = createFiles(createLogger('error', () => undefined));
  const seal = ageSeal([recipient], async () => new Secret(identity));
  await copyOut(
    {
      place: openPlace(openDirectoryStore({ path: place, clock }), seal, '77'),
      backupDir,
      memoryDir: join(root, 'memory'),
      held: plainBackups,
      system: { files, clock },
    },
    {
      label,
      path: '',
      kind: 'physical',
      createdAt: '2026-11-20T19:54:00.000Z',
      state: 'good',
      pgVersion: 15,
      systemIdentifier: '77',
      sizeBytes: 1,
    },
    async () => undefined,
    signal,
  );

  const page = await readFile('docs/REPOSITORY-FORMAT.md', 'utf8');
  await writeFile(join(root, 'restore-copy.sh'), /```sh\n(#!\/bin\/sh\n# restore-copy[\s\S]*?)```/.exec(page)![1]!);
  await writeFile(join(root, 'key.txt'), `${identity}\n`, { mode: 0o600 });
  await writeFile(join(root, 'bin', 'package.json'), '{"type":"module"}');
  if (!there('age')) await writeFile(join(root, 'bin', 'age'), AGE, { mode: 0o755 });
  const env = { PATH: `${join(root, 'bin')}:${process.env['PATH']}`, LC_ALL: 'C' };
  const restore = (to: string): Promise<unknown> =>
    promisify(execFile)('sh', [join(root, 'restore-copy.sh'), place, label, join(root, to), join(root, 'key.txt')], { env });

  await restore('back');
  for (const [path, bytes] of Object.entries(contents))
    expect((await readFile(join(root, 'back', label, path))).equals(bytes), path).toBe(true);
  expect((await stat(join(root, 'back', label, 'pg_twophase'))).isDirectory()).toBe(true);
  expect((await readdir(join(root, 'back'))).sort()).toEqual([label, `${label}.json`]);

  const packs = join(place, 'v1', '77', 'packs');
  const [pack] = await readdir(packs);
  await truncate(join(packs, pack!), 200);
  await expect(restore('damaged')).rejects.toThrow();
});
