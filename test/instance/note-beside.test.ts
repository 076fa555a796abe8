import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { expect, onTestFinished, test } from 'vitest';
import { noteBeside } from '../../src/instance/note-beside.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';

test('a note beside the data is read as it was written, and what is none of this version is garbled', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'dbkit-note-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  await mkdir(join(dataDir, '.dbkit'));
  const note = noteBeside('sample', { count: v.number() });
  const files = createFiles(createLogger('error', () => undefined));
  const place = { volume: { dataDir }, owner: { uid: process.getuid!(), gid: process.getgid!() }, system: { files } };
  expect(await note.read(dataDir)).toBeUndefined();
  await note.write(place as never, { count: 7 });
  expect(await readdir(join(dataDir, '.dbkit'))).toEqual(['sample.json']);
  expect(await note.read(dataDir)).toEqual({ count: 7 });
  for (const text of ['', '{', '\0'.repeat(40), '{"schema":"dbkit.sample/v2","count":7}', '{"schema":"dbkit.sample/v1","count":"7"}']) {
    await writeFile(join(dataDir, '.dbkit/sample.json'), text);
    expect(await note.read(dataDir), text).toBe('garbled');
  }
  await note.forget(dataDir);
  await note.forget(dataDir);
  expect(await note.read(dataDir)).toBeUndefined();
});
