import { execFile, spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { startBare } from '../harness/bare-server.ts';
import { boot, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';

const there = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const AGE = `#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Decrypter } from '${fileURLToPath(new URL('../../node_modules/age-encryption/dist/index.js', import.meta.url))}';
const [, , , , identity, file] = process.argv;
const decrypter = new Decrypter();
decrypter.addIdentity(readFileSync(identity, 'utf8').split('\\n').find((line) => line.startsWith('AGE-SECRET-KEY-')));
process.stdout.write(await decrypter.decrypt(readFileSync(file)));
`;

/** Where `age` is not installed, another program that decrypts its format; zstd, the shell and the rest are the machine's. */
async function pathWithAge({ root }: Instance): Promise<string> {
  if (there('age')) return process.env['PATH'] ?? '';
  await mkdir(join(root, 'bin'));
  await writeFile(join(root, 'bin', 'package.json'), '{"type":"module"}');
  await writeFile(join(root, 'bin', 'age'), AGE, { mode: 0o755 });
  return `${join(root, 'bin')}:${process.env['PATH']}`;
}

scenario(
  {
    name: 'the machine is gone and so is dbkit: the encrypted place of the copies, the key, and a shell script are left',
    section: 'C',
    detectedBefore: false,
    healedBy: 'restore',
    rowsLost: 'those since the last copy',
    from: 'template',
    needs: () => (there('zstd') ? undefined : 'zstd is not installed'),
  },
  async (instance) => {
    const place = join(instance.root, 'nas');
    const key = join(instance.root, 'recovery-sheet.txt');
    const target = join(instance.root, 'by-hand');
    await makeDirectory(place, serverUser, 0o700);
    const created = await run(instance, ['keys', 'create', key, '--json']);
    const { recipient } = (JSON.parse(created.stdout) as { report: { recipient: string } }).report;
    await configure(instance, { copies: { nas: { type: 'directory', path: place, recipients: [recipient] } } });
    const running = await boot(instance);
    await run(instance, ['backup', 'create']);
    await addRows(instance, known.ledger + 1, 7);
    expect(await run(instance, ['backup', 'create'])).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/copied data_\d+_\d+ to nas/),
    });
    await running.stop();
    for (const dir of [instance.dataDir, instance.backupDir, instance.stateDir]) await rm(dir, { recursive: true });

    const page = await readFile(new URL('../../docs/REPOSITORY-FORMAT.md', import.meta.url), 'utf8');
    const script = join(instance.root, 'restore-copy.sh');
    await writeFile(script, /```sh\n(#!\/bin\/sh\n# restore-copy[\s\S]*?)```/.exec(page)![1]!, { mode: 0o755 });
    const cluster = join(place, 'v1', (await readdir(join(place, 'v1')))[0]!);
    const label = (await readdir(join(cluster, 'backups')))
      .filter((name) => name.endsWith('.json'))
      .sort()
      .at(-1)!
      .slice(0, -5);
    const env = { PATH: await pathWithAge(instance), LC_ALL: 'C' };
    const restore = (to: string): Promise<unknown> => promisify(execFile)('sh', [script, place, label, to, key], { env });
    await restore(target);

    const dataDir = join(target, label);
    await promisify(execFile)('chown', ['-R', `${serverUser.uid}:${serverUser.gid}`, target]);
    const server = await startBare(instance.programs, dataDir, { socketDir: instance.socketDir, port: instance.port });
    expect(server.up, server.words()).toBe(true);
    await expectAllRows(instance, 7);
    await server.stop();

    const [pack] = await readdir(join(cluster, 'packs'));
    await truncate(join(cluster, 'packs', pack!), 1_000);
    await expect(restore(join(instance.root, 'damaged'))).rejects.toThrow();
  },
);
