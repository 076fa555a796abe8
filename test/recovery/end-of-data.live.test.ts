import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { comesAsFar } from '../../src/recovery/end-of-data.ts';
import { readControl } from '../harness/control-file.ts';
import { copyTree } from '../harness/files.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const { signal } = new AbortController();

test('a restore comes as far as the data when their last checkpoint is in the WAL that it replays, and not only its place', async () => {
  const { root, dataDir } = await openInstance({ programs: installed[0]!, from: 'template' });
  const staged = join(root, 'staged');
  await mkdir(staged);
  await copyTree(join(dataDir, 'pg_wal'), join(staged, 'pg_wal'));
  const reached = (lsn: string) => ({ at: null, lsn, owedLsn: null, phrase: '' });
  const asFar = (lsn: string) => comesAsFar(reached(lsn), { dataDir, staged }, signal);
  expect(await asFar('FF/0')).toBe(true);
  expect(await asFar('0/1000000'), 'it ends before').toBe(false);
  expect(await comesAsFar(undefined, { dataDir, staged }, signal)).toBe(false);

  const { checkpointSegment } = await readControl(dataDir);
  const segment = join(staged, 'pg_wal', checkpointSegment);
  const bytes = await readFile(segment);
  await writeFile(segment, bytes.fill(0, 8192));
  expect(await asFar('FF/0'), 'another past, or a hole').toBe(false);
});
