import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createFiles } from '../../src/machine/files.ts';
import { createLogger } from '../../src/machine/logger.ts';
import { openPgWal } from '../../src/wal/pg-wal.ts';
import { resume } from '../../src/wal/resume.ts';
import { openWriter } from '../../src/wal/writer.ts';
import { FULL, run, SIZE, segment } from '../harness/wal-files.ts';

const { signal } = new AbortController();
const identity = { systemIdentifier: '77', segmentSizeBytes: SIZE, timeline: 1 };
const nameOf = (number: number): string => ['00000001', '00000000', number.toString(16).toUpperCase().padStart(8, '0')].join('');
const full = (number: number): Buffer => segment(number, run(number, FULL));
const changed = (bytes: Buffer, at: number): Buffer => {
  const other = Buffer.from(bytes);
  other[at]! ^= 0xff;
  return other;
};
const lsn = (number: number, bytes = 0): bigint => BigInt(number * SIZE + bytes);

/** An archive with segment 3 whole and `kept` of segment 4, and a server whose pg_wal holds `own`. */
async function both({ kept, own }: { kept: Buffer; own: Readonly<Record<number, Buffer>> }) {
  const dir = await mkdtemp(join(tmpdir(), 'dbkit-resume-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const files = createFiles(createLogger('error', () => undefined));
  const writer = openWriter({ repositoryDir: dir, systemIdentifier: '77', segmentSizeBytes: SIZE, owner: undefined, files });
  await writer.keepWhole(nameOf(3), full(3), signal);
  const tail = await writer.openTail(nameOf(4), 0);
  await tail.append(kept);
  await tail.close();
  const pgWal = join(dir, 'pg_wal');
  await mkdir(pgWal);
  for (const [number, bytes] of Object.entries(own)) await writeFile(join(pgWal, nameOf(Number(number))), bytes);
  return (flushedLsn: bigint) => resume(writer, openPgWal(pgWal, identity), { identity, flushedLsn, catchUpBytes: lsn(100) }, signal);
}

const TAIL = 700_000; // More than two of the pieces that are compared at once.

test('the archive goes on behind what both have, however much that is', async () => {
  const from = await both({ kept: full(4).subarray(0, TAIL), own: { 3: full(3), 4: full(4) } });
  expect(await from(lsn(4, 900_000))).toEqual({ segmentLsn: lsn(4), tailBytes: TAIL, gapFrom: undefined });
});

test('a byte that differs within a record that was kept whole is another WAL: refused, in whichever piece it is', async () => {
  for (const at of [300_000, 690_000 - 8_192]) {
    const from = await both({ kept: full(4).subarray(0, TAIL), own: { 3: full(3), 4: changed(full(4), at) } });
    await expect(from(lsn(4, 900_000)), `byte ${at}`).rejects.toMatchObject({ code: 'wal.conflict' });
  }
});

test('what a crash tore off behind the last whole record is cut off where it differs', async () => {
  const from = await both({ kept: full(4).subarray(0, TAIL), own: { 3: full(3), 4: changed(full(4), TAIL - 1) } });
  expect(await from(lsn(4, 900_000))).toEqual({ segmentLsn: lsn(4), tailBytes: TAIL - 1, gapFrom: undefined });
});

test('a whole segment that differs at its very end is refused', async () => {
  const from = await both({ kept: full(4).subarray(0, TAIL), own: { 3: changed(full(3), SIZE - 1), 4: full(4) } });
  await expect(from(lsn(4, 900_000))).rejects.toMatchObject({ code: 'wal.conflict' });
});

test('without its segment in pg_wal the tail is where a gap begins', async () => {
  const from = await both({ kept: full(4).subarray(0, TAIL), own: { 6: full(6), 7: full(7) } });
  expect(await from(lsn(7, 1_000))).toEqual({ segmentLsn: lsn(6), tailBytes: 0, gapFrom: lsn(4, TAIL) });
});

test('an archive that is ahead of the server by whole records is refused, and by a torn one is not', async () => {
  const from = await both({ kept: full(4).subarray(0, TAIL), own: { 3: full(3), 4: full(4) } });
  await expect(from(lsn(4, 300_000))).rejects.toMatchObject({ code: 'wal.conflict' });
  expect(await from(lsn(4, TAIL - 1))).toEqual({ segmentLsn: lsn(4), tailBytes: TAIL - 1, gapFrom: undefined });
});
