import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromText } from '../../src/formats/byte-path.ts';
import { twoPhaseFile, twoPhaseProblem } from '../../src/formats/two-phase.ts';
import { readWal } from '../../src/formats/wal-reader.ts';
import { findTip } from '../../src/formats/wal-tip.ts';
import { cluster, FULL, lsnAt, record, run, SIZE, segment, walFolder } from '../harness/wal-files.ts';

const { signal } = new AbortController();

const NAME = '000000010000000000000003';

test('the end of the WAL is found in the newest segment that is one, past recycled files', async () => {
  const directory = await walFolder({ [NAME]: segment(3, run(3, 500)), '000000010000000000000004': segment(1, run(1, 20)) });
  const tip = await findTip(fromText(directory), [NAME, '000000010000000000000004', 'archive_status'], cluster, undefined, signal);
  const last = lsnAt(3, 499 * 104);
  expect(tip).toMatchObject({ timeline: 1, segment: NAME, end: last + 104n, last: { lsn: last } });
});

test('there is no end where there is no WAL of this cluster', async () => {
  const directory = await walFolder({ [NAME]: segment(3, run(3, 5)) });
  expect(await findTip(fromText(directory), [NAME], { ...cluster, systemIdentifier: '78' }, undefined, signal)).toBeUndefined();
  expect(await findTip(fromText(directory), [], cluster, undefined, signal)).toBeUndefined();
});

test('a segment that is not there is told from WAL that ends by itself', async () => {
  const directory = await walFolder({ [NAME]: segment(3, run(3, FULL)) });
  const identity = { ...cluster, timeline: 1 };
  const start = BigInt(3 * SIZE + 40);
  const cut = await readWal(fromText(directory), identity, start, signal);
  expect(cut).toMatchObject({ missing: false, broken: false });
  await writeFile(join(directory, NAME), segment(3, [...run(3, FULL), record(104, lsnAt(3, (FULL - 1) * 104))]));
  expect(await readWal(fromText(directory), identity, start, signal)).toMatchObject({ missing: true, broken: false, end: cut.end });
});

test('a segment that is cut is broken, not ended', async () => {
  const directory = await walFolder({ [NAME]: segment(3, run(3, 500)) });
  await truncate(join(directory, NAME), 16_384);
  expect(await readWal(fromText(directory), { ...cluster, timeline: 1 }, BigInt(3 * SIZE + 40), signal)).toMatchObject({ broken: true });
});

test('the record of a PREPARE is a state file but for its checksum', () => {
  const data = Buffer.alloc(120);
  data.writeUInt32LE(0x57f94534, 0);
  data.writeUInt32LE(124, 4);
  data.writeUInt32LE(742, 8);
  const file = twoPhaseFile(data)!;
  expect(file.xid).toBe(742);
  expect(twoPhaseProblem(file.bytes)).toBeUndefined();
  file.bytes[60] = 1;
  expect(twoPhaseProblem(file.bytes)).toMatch(/checksum/);
  expect(twoPhaseProblem(file.bytes.subarray(0, 100))).toMatch(/size 100, expected 124/);
  expect(twoPhaseFile(Buffer.alloc(120))).toBeUndefined();
});
