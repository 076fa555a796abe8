import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { furthest } from '../../src/backups/base/furthest.ts';
import type { BackupRecord } from '../../src/backups/base/record.ts';
import { formatLsn } from '../../src/formats/wal-segment.ts';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { openArchive, sha16Of } from '../../src/wal/archive.ts';
import { openWriter } from '../../src/wal/writer.ts';
import { FULL, run, SIZE, segment } from '../harness/wal-files.ts';

const { signal } = new AbortController();
const nameOf = (number: number, timeline = 1): string =>
  [timeline, 0, number].map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('');
const full = (number: number): Buffer => segment(number, run(number, FULL));
/** The server's own pg_wal ends in the middle of segment 3, as if nothing had followed. */
const ownEnd = segment(3, run(3, 200));

interface Scene {
  readonly archiveDir: string;
  readonly timelineDir: string;
  readonly fileOf: (number: number) => string;
}

/** A backup that ends in segment 2, a pg_wal with a part of segment 3, and an archive with `kept`; then something happens to the archive. */
async function recover(kept: readonly number[], happens: (scene: Scene) => Promise<unknown> = async () => undefined) {
  const dir = await mkdtemp(join(tmpdir(), 'dbkit-furthest-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const said: string[] = [];
  const files = createFiles(createLogger('error', () => undefined));
  const walFrom = join(dir, 'pg_wal');
  await mkdir(walFrom);
  await writeFile(join(walFrom, nameOf(3)), ownEnd);
  const writer = openWriter({ repositoryDir: dir, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
  for (const number of kept) await writer.keepWhole(nameOf(number), full(number), signal);
  const archiveDir = openArchive(dir, '77', files).dir;
  const timelineDir = join(archiveDir, '00000001');
  await happens({ archiveDir, timelineDir, fileOf: (number) => join(timelineDir, `${nameOf(number)}-${sha16Of(full(number))}.zst`) });
  const stopLsn = formatLsn(BigInt(2 * SIZE + 1000));
  const record = {
    label: 'data_20261130_000000',
    systemIdentifier: '77',
    timeline: 1,
    walSegmentSizeBytes: SIZE,
    mode: 'hot',
    fromStandby: false,
    stopLsn,
    checkpointLsn: stopLsn,
  } as unknown as BackupRecord;
  const system = { files, log: { ...silent, error: (_event: string, words: string) => said.push(words) } } as never;
  const known = { checkpointLsn: undefined, mark: undefined };
  const sources = { walFrom, gatherIn: join(dir, 'gathered') };
  const { rolled } = await furthest(record, sources as never, { known, repositoryDir: dir, system }, signal);
  return { complete: rolled.complete, end: rolled.end, said: said.join('\n') };
}

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, progress: () => undefined };

test.each([
  ['nothing was ever kept', [], undefined],
  ['the archive is behind the server’s own WAL', [2], undefined],
] as const)('what the server’s own WAL holds is all where %s', async (_what, kept, happens) => {
  expect(await recover(kept, happens)).toMatchObject({ complete: true, said: '' });
});

test.each([
  ['the segment that goes on is damaged', [3, 4], ({ fileOf }: Scene) => writeFile(fileOf(3), 'garbled')],
  [
    'the segment that goes on is a folder',
    [3, 4],
    async ({ fileOf }: Scene) => {
      await rm(fileOf(3));
      await mkdir(fileOf(3));
    },
  ],
  ['a later one is listed, and those before it are gone', [3, 4], ({ fileOf }: Scene) => rm(fileOf(3))],
  ['its record is garbled', [3, 4], ({ archiveDir }: Scene) => writeFile(join(archiveDir, 'archive.json'), 'garbled')],
  ['its record is gone', [3, 4], ({ archiveDir }: Scene) => rm(join(archiveDir, 'archive.json'))],
  [
    'it is a file',
    [3, 4],
    async ({ archiveDir }: Scene) => {
      await rm(archiveDir, { recursive: true });
      await writeFile(archiveDir, '');
    },
  ],
  ['a file stands for a later timeline', [2], ({ archiveDir }: Scene) => writeFile(join(archiveDir, '00000002'), '')],
  [
    'the history of a later timeline is empty',
    [2],
    async ({ archiveDir }: Scene) => {
      await mkdir(join(archiveDir, '00000002'));
      await writeFile(join(archiveDir, '00000002/00000002.history'), '');
    },
  ],
] as const)('nothing is called complete where the archive may hold more: %s', async (_what, kept, happens) => {
  expect((await recover(kept, happens)).complete).toBe(false);
});

test('a damaged later timeline hides nothing of the one that was left', async () => {
  const { end, said } = await recover([3], ({ archiveDir }) => writeFile(join(archiveDir, '00000002'), ''));
  expect(end).toBeGreaterThan(BigInt(4 * SIZE - 200));
  expect(said).toMatch(/00000002 is no folder/);
});
