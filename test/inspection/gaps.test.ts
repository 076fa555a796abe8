import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ControlFile } from '../../src/formats/control-file.ts';
import { inspectGaps } from '../../src/inspection/gaps.ts';
import type { Reached } from '../../src/inspection/reached.ts';
import { walk } from '../../src/inspection/walk.ts';
import { FULL, lsnAt, record, run, SIZE, segment, type Told, walFolder } from '../harness/wal-files.ts';

const { signal } = new AbortController();
const name = (number: number): string => `00000001000000000000000${number}`;
const commit: Told = { manager: 1, info: 0x00, data: Buffer.alloc(8) };
const start = lsnAt(3, 0);

/** Segments in the pg_wal of a crashed cluster whose redo position is the first record of segment 3. */
async function gapsOf(files: Readonly<Record<string, Buffer>>, reached?: Partial<Reached>) {
  const wal = await walFolder(files);
  const dataDir = `${wal}-data`;
  await mkdir(dataDir);
  await rename(wal, join(dataDir, 'pg_wal'));
  const control = { timeline: 1, systemIdentifier: '77', walSegmentSizeBytes: SIZE, redoLsn: start } as ControlFile;
  const noted = { systemIdentifier: '77', timeline: 1, clean: false, prepared: [], at: '', lastRecordLsn: 0n, flushedLsn: 0n };
  const gaps = await inspectGaps(dataDir, walk(dataDir, signal), control, reached && { ...noted, ...reached }, signal);
  await rename(dataDir, wal); // Where it is removed from.
  return gaps;
}

/** A segment full of records, the last of which goes on into the next. */
const full = (number: number): Buffer => segment(number, [...run(number, FULL), record(104, lsnAt(number, (FULL - 1) * 104))]);
const damaged = (body: Buffer, lsn: bigint): Buffer => {
  body[Number(lsn % BigInt(SIZE)) + 40]! ^= 0x40;
  return body;
};

test('WAL that ends by itself is no gap, whatever recycled files wait behind it', async () => {
  expect(await gapsOf({ [name(3)]: segment(3, run(3, 300)), [name(4)]: segment(1, run(1, 10)) })).toEqual({
    findings: [],
    behind: undefined,
    isTailTorn: false,
  });
});

test('a segment behind the end that is cut, or that is there without the one before it, was not left so by a server', async () => {
  const ended = { [name(3)]: segment(3, run(3, 300)) };
  const recycled = segment(1, run(1, 10));
  for (const behind of [{ [name(4)]: Buffer.alloc(0) }, { [name(5)]: recycled }, { [name(4)]: recycled, [name(6)]: recycled }])
    expect(await gapsOf({ ...ended, ...behind })).toMatchObject({ findings: [], isTailTorn: true });
  expect(await gapsOf({ ...ended, [name(4)]: recycled, [name(5)]: recycled })).toMatchObject({ isTailTorn: false });
});

test('a segment that is gone, empty, or of something else, while a later one is there', async () => {
  const later = segment(
    5,
    run(5, 50, (index) => (index === 49 ? commit : undefined)),
  );
  for (const between of [{}, { [name(4)]: Buffer.alloc(0) }, { [name(4)]: Buffer.alloc(SIZE) }, { [name(4)]: segment(2, run(2, 9)) }]) {
    const { findings, behind } = await gapsOf({ [name(3)]: full(3), ...between, [name(5)]: later });
    expect(findings).toMatchObject([{ code: 'wal.gap', path: `pg_wal/${name(4)}`, severity: 'certain' }]);
    expect(behind).toMatchObject({
      segments: [`pg_wal/${name(5)}`],
      commits: 1,
      end: lsnAt(5, 49 * 104) + 104n,
      staleFromBytes: undefined,
    });
  }
});

test('a damaged record with commits behind it', async () => {
  const body = segment(
    3,
    run(3, 300, (index) => (index === 290 ? commit : undefined)),
  );
  const { findings, behind } = await gapsOf({ [name(3)]: damaged(body, lsnAt(3, 100 * 104)) });
  expect(findings).toMatchObject([{ code: 'wal.gap', path: `pg_wal/${name(3)}` }]);
  expect(behind).toMatchObject({ segments: [], commits: 1, staleFromBytes: 16_384 });
});

test('a torn tail in which nothing had committed is what a power cut leaves', async () => {
  const body = damaged(segment(3, run(3, 300)), lsnAt(3, 100 * 104));
  expect((await gapsOf({ [name(3)]: body })).findings).toEqual([]);
});

test('the same torn tail is a gap where the mark lies behind it', async () => {
  const body = damaged(segment(3, run(3, 300)), lsnAt(3, 100 * 104));
  const lastRecordLsn = lsnAt(3, 299 * 104);
  const { behind } = await gapsOf({ [name(3)]: body }, { lastRecordLsn, flushedLsn: lastRecordLsn + 104n });
  expect(behind).toMatchObject({ end: lastRecordLsn + 104n });
});

test('WAL that is cut off before the mark is a gap without anything behind it', async () => {
  const { findings, behind } = await gapsOf(
    { [name(3)]: segment(3, run(3, 300)) },
    { lastRecordLsn: lsnAt(4, 0), flushedLsn: lsnAt(4, 104) },
  );
  expect(findings).toHaveLength(1);
  expect(behind).toMatchObject({ segments: [], commits: 0, end: lsnAt(4, 104) });
});
