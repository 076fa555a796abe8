import { execFile } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { UnitsReport } from '../../src/homes/systemd/install.ts';
import { type Ended, run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const [programs] = installed;

interface Home {
  readonly instance: Instance;
  readonly units: string;
  readonly environment: string;
  /** In folders of its own: there nothing is started. */
  systemd(...words: string[]): Promise<Ended & { readonly files: UnitsReport['files'] }>;
}

async function open(): Promise<Home> {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const [units, environment] = [join(instance.root, 'units'), join(instance.root, 'dbkit.env')];
  return {
    ...{ instance, units, environment },
    systemd: async (verb, ...words) => {
      const place = verb === 'install' ? ['--environment-file', environment] : [];
      const ended = await run(instance, ['systemd', verb!, '--unit-dir', units, ...place, ...words, '--json']);
      return { ...ended, files: (JSON.parse(ended.stdout) as { report?: UnitsReport }).report?.files ?? [] };
    },
  };
}

const analyze = (...words: string[]) => promisify(execFile)('systemd-analyze', words).then(({ stdout, stderr }) => stdout + stderr);
const cannotAnalyze = await analyze('--version').then(
  () => false,
  () => true,
);
if (cannotAnalyze) process.stderr.write('systemd: the units are not verified, as there is no systemd-analyze\n');

test('install writes units and a closed environment file, again is an update, and uninstall takes only its own', async () => {
  const { systemd, units, environment } = await open();
  const first = await systemd('install');
  expect(first.code, first.stderr).toBe(0);
  expect(first.files.map(({ did }) => did)).toEqual(Array(9).fill('written'));
  expect((await stat(environment)).mode & 0o777).toBe(0o600);
  expect(await readFile(environment, 'utf8')).toMatch(/^PGDATA=\/.+$[\s\S]*^DATABASE_PASSWORD=secret$/m);

  await writeFile(environment, '# mine\n');
  const again = await systemd('install', '--backup-at', 'hourly');
  expect(again.files.filter(({ did }) => did !== 'unchanged').map(({ path, did }) => `${did} ${path.split('/').at(-1)}`)).toEqual([
    'written dbkit-backup.timer',
    'kept dbkit.env',
  ]);
  expect(await readFile(environment, 'utf8')).toBe('# mine\n');

  await writeFile(join(units, 'dbkit-backup.timer'), '[Timer]\nOnCalendar=daily\n');
  const refused = await systemd('install');
  expect({ code: refused.code, said: refused.stdout }).toMatchObject({
    code: 73,
    said: expect.stringMatching(/is there and is not dbkit's/),
  });
  expect((await systemd('uninstall')).files).toHaveLength(7);
  expect(await readdir(units)).toEqual(['dbkit-backup.timer']);
  expect((await systemd('uninstall')).files).toEqual([]);
});

test.skipIf(cannotAnalyze)('systemd accepts every unit, and finds little to expose', async () => {
  const { systemd, units } = await open();
  await systemd('install');
  const paths = (await readdir(units)).map((name) => join(units, name));
  expect(await analyze('verify', '--man=no', ...paths)).toBe('');
  for (const [name, most] of [
    ['health', 15],
    ['backup', 15],
    ['verify', 15],
    ['recovery', 33],
  ] as const)
    await analyze('security', '--offline=true', `--threshold=${most}`, join(units, `dbkit-${name}.service`));
});
