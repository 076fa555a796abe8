import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { readConfigFile } from '../../src/config/file.ts';
import { type FileFacts, judgeFile, programsIn, type TrustId } from '../../src/config/trust.ts';
import { trustFile } from '../../src/config/trusted-files.ts';
import type { Logger, Rights, System } from '../../src/kernel/machine.ts';
import { createFiles } from '../../src/machine/files.ts';
import { whoElseMayWrite } from '../../src/machine/trust.ts';
import { readServicesFolder } from '../../src/supervisor/services/services-folder.ts';
import { isRoot } from '../harness/as-user.ts';
import { everyRow } from '../harness/every-row.ts';

const silent = (): void => undefined;
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent, progress: silent };
let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dbkit-trust-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  file = join(folder, 'repo/dbkit.yaml');
  await mkdir(join(folder, 'repo'));
  await put('maxBackups: 2');
});
const put = async (text: string): Promise<void> => {
  await writeFile(file, text);
  await chmod(file, 0o644);
};
function needs() {
  const self = { uid: process.getuid!(), gid: process.getgid!(), name: 'me', home: join(folder, 'home') };
  const rights = { whoElseMayWrite: (path, options) => whoElseMayWrite(path, self, options) } as Rights;
  return { self, rights, files: createFiles(log) };
}
const read = (named?: string, options = {}) => readConfigFile(named, join(folder, 'repo'), needs(), options);
const refused = { code: 'config.untrusted' };

test.each([
  ['the file everybody may write', async () => chmod(file, 0o666)],
  ['the file all but its group may write', async () => chmod(file, 0o606)],
  ['the file its group may write', async () => chmod(file, 0o664)],
  ['a folder everybody may write', async () => chmod(join(folder, 'repo'), 0o777)],
  ['a folder all but its group may write', async () => chmod(join(folder, 'repo'), 0o707)],
])('%s is not obeyed, found or named, until somebody has looked at it', async (_, expose) => {
  await expose();
  await expect(read()).rejects.toMatchObject(refused);
  await expect(read(file)).rejects.toMatchObject(refused);
  await trustFile({ from: folder, file: 'repo/dbkit.yaml', forget: false }, needs());
  expect(await read()).toMatchObject({ value: { maxBackups: 2 } });
  await writeFile(file, 'maxBackups: 3');
  await expect(read(), 'other bytes must be looked at again').rejects.toMatchObject(refused);
  await writeFile(file, 'maxBackups: 2');
  await trustFile({ from: folder, file: 'repo/dbkit.yaml', forget: true }, needs());
  await expect(read()).rejects.toMatchObject(refused);
});

test.runIf(isRoot)('a file of another user’s, and a link to one, are not obeyed by root', async () => {
  await chown(file, 65_534, 65_534);
  await expect(read()).rejects.toMatchObject(refused);
  await mkdir(join(folder, 'own'));
  await symlink(file, join(folder, 'own/dbkit.yaml'));
  await expect(readConfigFile(undefined, join(folder, 'own'), needs())).rejects.toMatchObject(refused);
});

test('a repository sets data; programs take trust, or the dev container that was made from it', async () => {
  await mkdir(join(folder, 'repo/.git'));
  expect(await read()).toMatchObject({ value: { maxBackups: 2 } });
  await put('monitor: { startCommand: [sh] }\nservices: { web: { command: [npm, start] } }');
  await expect(read()).rejects.toMatchObject({ ...refused, message: expect.stringContaining('monitor.startCommand, services.web') });
  expect(await read(undefined, { inDevContainer: true })).toBeDefined();
  expect(await read(file)).toBeDefined(); // Named by whoever typed it.
});

test('what runs something or reads a secret is known by its name', () => {
  const file = {
    maxBackups: 2,
    servicesDir: '/s',
    postgresql: { port: 1, binDir: '/b', settings: { archive_command: 'x', shared_preload_libraries: 'y', work_mem: '1MB' } },
    recovery: { migrate: ['npm', 'run', 'migrate'], allow: ['repair'] },
    health: { probes: { a: { sql: 'SELECT true' }, b: { command: ['x'] } } },
    ha: { members: { 'n1.example': { api: 'http://n1.example:8008' } }, pooler: 'n1.example:6432' },
    alerts: { channels: { x: { type: 'command', command: ['y'] }, z: { type: 'slack', url: { env: 'X' } } } },
  };
  expect(programsIn(file)).toEqual([
    'servicesDir',
    'postgresql.binDir',
    'postgresql.settings.archive_command',
    'postgresql.settings.shared_preload_libraries',
    'recovery.migrate',
    'health.probes.b.command',
    'ha.members',
    'ha.pooler',
    'alerts.channels.x.command',
    'alerts.channels.z.url',
  ]);
});

const own: FileFacts = {
  path: '/f',
  how: 'found',
  stranger: undefined,
  inRepository: false,
  inDevContainer: false,
  trusted: false,
  programs: [],
};
everyRow<TrustId, FileFacts>('a configuration file', judgeFile, {
  trusted: { ...own, trusted: true, stranger: { path: '/f', who: 'everybody' } },
  'of-somebody-else': { ...own, stranger: { path: '/', who: 'uid 1' } },
  'programs-of-a-repository': { ...own, inRepository: true, programs: ['binDir'] },
  own,
});

test('what others could have put into the services folder is passed over, and said', async () => {
  const services = join(folder, 'services');
  await mkdir(services);
  for (const name of ['init-mine', 'init-theirs']) await writeFile(join(services, name), '#!/bin/sh\n', { mode: 0o755 });
  await chmod(join(services, 'init-theirs'), 0o777);
  const said: string[] = [];
  const system = { ...needs(), log: { ...log, warn: (event) => void said.push(event) } satisfies Logger } as unknown as System;
  expect((await readServicesFolder(services, system, {})).initScripts.map(({ path }) => path)).toEqual([join(services, 'init-mine')]);
  expect(said).toEqual(['services.refused']);
  await chmod(services, 0o777);
  expect((await readServicesFolder(services, system, {})).initScripts).toEqual([]);
});
