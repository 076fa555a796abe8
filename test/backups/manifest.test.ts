import { expect, test } from 'vitest';
import { type Manifest, parseManifest, renderManifest } from '../../src/backups/base/manifest.ts';
import { bytePath, fromText } from '../../src/formats/byte-path.ts';

const odd = bytePath(Buffer.from([0x6f, 0x64, 0x64, 0xff]));
const manifest: Manifest = {
  systemIdentifier: undefined,
  files: [
    { path: fromText('PG_VERSION'), sizeBytes: 3, modifiedAt: new Date('2026-11-20T19:54:00Z'), sha256: 'a'.repeat(64) },
    { path: fromText('naïve "name"'), sizeBytes: 0, modifiedAt: new Date('2026-11-20T19:54:01Z'), sha256: 'b'.repeat(64) },
    { path: odd, sizeBytes: 5_000_000_000, modifiedAt: new Date('2026-11-20T19:54:02Z'), sha256: 'c'.repeat(64) },
  ],
  wal: { timeline: 1, start: 0x2000028n, end: 0x1_0000_0100n },
};

test("the text is PostgreSQL's own format, version 1", () => {
  const text = renderManifest(manifest);
  const lines = text.split('\n');
  expect(lines.slice(0, 3)).toEqual([
    '{ "PostgreSQL-Backup-Manifest-Version": 1,',
    '"Files": [',
    `{ "Path": "PG_VERSION", "Size": 3, "Last-Modified": "2026-11-20 19:54:00 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "${'a'.repeat(64)}" },`,
  ]);
  expect(text).toContain('{ "Path": "naïve \\"name\\"", ');
  expect(text).toContain('{ "Encoded-Path": "6f6464ff", "Size": 5000000000, ');
  expect(text).toContain('{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "1/100" }\n],\n"Manifest-Checksum": "');
  expect(lines.at(-2)).toMatch(/^"Manifest-Checksum": "[0-9a-f]{64}"}$/);
  expect(JSON.parse(text)).toBeTypeOf('object');
});

test('from version 17 on it names the system, digit by digit', () => {
  const text = renderManifest({ ...manifest, systemIdentifier: '7585937000000000123' });
  expect(text.startsWith('{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": 7585937000000000123,\n"Files": [\n')).toBe(true);
  expect(parseManifest(text).systemIdentifier).toBe('7585937000000000123');
});

test('reading it gives what was written', () => {
  expect(parseManifest(renderManifest(manifest))).toEqual(manifest);
});

test.each([
  ['a changed byte', (text: string) => text.replace('"Size": 3', '"Size": 4')],
  ['a lost end', (text: string) => text.slice(0, -10)],
  ['something else', () => '{}'],
])('%s is refused', (_, spoil) => {
  expect(() => parseManifest(spoil(renderManifest(manifest)))).toThrow(expect.objectContaining({ code: 'data.corrupt' }));
});
