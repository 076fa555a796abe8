import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { discardUnfinished } from '../../src/instance/initialize/initialize.ts';
import { markInitializing } from '../../src/instance/initialize/marker.ts';
import { volumeOf } from '../../src/instance/volume.ts';
import { owner, testSystem } from '../backups/copy-engine.fixture.ts';

const system = await testSystem();
const CONTROL = Buffer.alloc(8192, 7);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** What is left of an unfinished cluster with such a pg_control and such a marker. */
async function left(control: Buffer | undefined, marker: string): Promise<string[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'dbkit-unfinished-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  for (const folder of ['global', 'base/1']) await mkdir(join(dataDir, folder), { recursive: true });
  await writeFile(join(dataDir, 'base/1/2619'), 'rows');
  if (control) await writeFile(join(dataDir, 'global/pg_control'), control);
  const volume = volumeOf(dataDir);
  await writeFile(volume.initializing, marker);
  await discardUnfinished({ volume, system });
  return (await readdir(dataDir)).filter((name) => !name.startsWith('.')).sort();
}

const started = { startedAt: '2026-11-20T19:54:00Z', replaced: null, bootId: 'of the boot before' };
const published = JSON.stringify({ ...started, controlSha256: sha256(CONTROL) });
const WHOLE = ['base', 'dbkit.initializing', 'global'];

test('an unfinished cluster goes where its pg_control is the very one that was published: no server has run on it', async () => {
  expect(await left(CONTROL, published)).toEqual([]);
});

test.each([
  ['torn', CONTROL.subarray(0, 4096)],
  ['of zeros', Buffer.alloc(8192)],
  ['gone', undefined],
  ['written by a server that has stopped since', Buffer.alloc(8192, 8)],
])('a pg_control that is %s proves nothing: the cluster stays, to be set aside', async (_, control) => {
  expect(await left(control, published)).toEqual(WHOLE);
});

test.each([
  ['of an earlier version', JSON.stringify(started)],
  ['cut off', published.slice(0, 20)],
])('a marker that is %s proves nothing', async (_, marker) => {
  expect((await left(CONTROL, marker)).filter((name) => !name.includes('broken'))).toEqual(expect.arrayContaining(['base', 'global']));
});

test('the marker of a new cluster bears its pg_control', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dbkit-unfinished-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const volume = volumeOf(dataDir);
  await mkdir(join(volume.incoming, 'global'), { recursive: true });
  await writeFile(join(volume.incoming, 'global/pg_control'), CONTROL);
  await markInitializing(volume, owner, { replaced: null }, system);
  for (const name of ['global', 'dbkit.initializing']) await system.files.rename(join(volume.incoming, name), join(dataDir, name));
  await discardUnfinished({ volume, system });
  expect(existsSync(join(dataDir, 'global')), 'nobody has been there').toBe(false);
});
