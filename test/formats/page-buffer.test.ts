import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import wabt from 'wabt';
import { pageBuffer } from '../../src/formats/page-buffer.ts';
import { pageChecksum } from '../../src/formats/page-checksum.ts';

const source = (path: string): string => readFileSync(new URL(`../../src/formats/${path}`, import.meta.url), 'utf8');

test('the embedded checksum program is the source beside it, compiled', async () => {
  const compiler = await wabt();
  const module = compiler.parseWat('page-checksum.wat', source('page-checksum.wat'), { simd: true });
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
  const embedded = [...source('page-buffer.ts').matchAll(/^ {2}'([A-Za-z0-9+/=]+)'/gm)].map(([, line]) => line).join('');
  expect(embedded).toBe(base64);
});

for (const blockSizeBytes of [1024, 8192, 32_768]) {
  test(`pages of ${blockSizeBytes} bytes are judged as PostgreSQL's own algorithm judges them`, () => {
    const { bytes, findUnsound } = pageBuffer();
    const pages = Math.min(9, bytes.length / blockSizeBytes);
    const last = pages - 1;
    const rule = { blockSizeBytes, firstBlock: 131_072, startLsn: undefined };
    randomFillSync(bytes, 0, pages * blockSizeBytes);
    const page = (number: number): Buffer => bytes.subarray(number * blockSizeBytes, (number + 1) * blockSizeBytes);
    for (let number = 0; number < pages; number += 1) {
      page(number).writeUInt16LE(64, 14); // pd_upper
      page(number).writeUInt16LE(pageChecksum(page(number), rule.firstBlock + 5 + number), 8);
    }
    page(2).fill(0);
    const whole = Buffer.from(bytes.subarray(0, pages * blockSizeBytes));
    expect(findUnsound(pages * blockSizeBytes + 100, 5, rule)).toEqual([]);
    expect(bytes.subarray(0, pages * blockSizeBytes).equals(whole), 'what was read is as it was').toBe(true);
    expect(findUnsound(pages * blockSizeBytes, 6, rule), 'pages of another place').toHaveLength(pages - 1);
    page(last)[100]! ^= 1;
    page(2)[999] = 1;
    expect(findUnsound(pages * blockSizeBytes, 5, rule).map(({ block }) => block)).toEqual([7, 5 + last]);
  });
}
