import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { localLayout } from '../../src/homes/local-layout.ts';
import { createFiles } from '../../src/machine/files.ts';
import { localPort, reachableByOthers } from '../../src/machine/local-folder.ts';

const at = (layout: ReturnType<typeof localLayout>, path: string): string | undefined =>
  layout.settings.find((setting) => setting.path === path)?.value;

test('everything is below the one folder', () => {
  const layout = localLayout('/home/me/project/.dbkit', true);
  expect(layout).toMatchObject({ base: '/home/me/project/.dbkit', moved: false });
  for (const { value, flag } of layout.settings) expect([value.startsWith(`${layout.base}/`), flag]).toEqual([true, '--local']);
});

test('a folder that PostgreSQL’s user cannot reach is kept elsewhere, the same place for the same folder', () => {
  const layout = localLayout('/root/project/.dbkit', false);
  expect(layout).toMatchObject({ moved: true, base: expect.stringMatching(/^\/var\/lib\/dbkit\/local-[0-9a-f]{8}$/) });
  expect(localLayout('/root/project/.dbkit', false)).toEqual(layout);
  expect(localLayout('/root/other/.dbkit', false).base).not.toBe(layout.base);
});

test('a socket’s path always fits sun_path (108 bytes on Linux), counted in bytes', () => {
  for (const directory of [`/${'x'.repeat(60)}`, `/${'x'.repeat(200)}`, `/${'ü'.repeat(50)}`]) {
    const socket = `${at(localLayout(directory, true), 'postgresql.socketDir')}/.s.PGSQL.65535.lock`;
    expect(Buffer.byteLength(socket)).toBeLessThan(108);
  }
});

async function folderOf(test: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `dbkit-${test}-`));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('a folder is reachable when every folder above it lets others pass', async () => {
  const folder = await folderOf('reach');
  await mkdir(join(folder, 'a'));
  await chmod(folder, 0o755);
  expect(await reachableByOthers(join(folder, 'a/not-yet'))).toBe(true);
  await chmod(folder, 0o700);
  expect(await reachableByOthers(join(folder, 'a/not-yet'))).toBe(false);
});

const silent = (): void => undefined;
const files = createFiles({ debug: silent, info: silent, warn: silent, error: silent, progress: silent });

test('a port in use is passed over, and the choice is remembered even when it is free again', async () => {
  const folder = await folderOf('port');
  const first = await localPort(join(folder, 'one'), files);
  expect(Number(await readFile(join(folder, 'one/port'), 'utf8'))).toBe(first);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(first, 'localhost', resolve));
  try {
    expect(await localPort(join(folder, 'one'), files)).toBe(first);
    expect(await localPort(join(folder, 'two'), files)).toBeGreaterThan(first);
  } finally {
    server.close();
  }
});

test('where nothing can be written the port is chosen all the same', async () => {
  const folder = await folderOf('blocked');
  await writeFile(join(folder, 'file'), '');
  expect(await localPort(join(folder, 'file/below'), files)).toBeGreaterThan(0);
});
