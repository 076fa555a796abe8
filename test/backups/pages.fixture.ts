import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Backup, BaseBackups } from '../../src/backups/backup.ts';
import { readManifestFile } from '../../src/backups/base/manifest.ts';
import { toText } from '../../src/formats/byte-path.ts';
import { signal } from './copy-engine.fixture.ts';

/** A table of eight megabytes with its index, at rest for long enough that its files are trusted. */
export const spreadTable = [
  'CREATE TABLE spread AS SELECT id, repeat(md5(id::text), 6) AS words, 0 AS version FROM generate_series(1, 36000) AS id',
  'ALTER TABLE spread ADD PRIMARY KEY (id)',
  'ALTER TABLE spread SET (fillfactor = 70)',
  'CHECKPOINT',
];

/** Updates rows all over the table. */
export const spreadUpdates = (version: number): string[] => [
  `UPDATE spread SET version = ${version} WHERE id % 2000 = ${version}`,
  'CHECKPOINT',
];

/** A copy of a backup, taken while it was plain: what it must always be. */
export function keepAside({ path }: Backup, to: string): string {
  cpSync(path, to, { recursive: true, preserveTimestamps: true });
  return to;
}

/** Every file of the backup, rebuilt, is byte for byte what the copy of the time holds; then the copy is removed. */
export async function expectSame(base: BaseBackups, backup: Backup, aside: string, scratch: string): Promise<void> {
  await base.stage(backup, { directory: scratch, walFrom: undefined }, signal);
  const { files } = await readManifestFile(aside);
  const set = new Set(['postgresql.auto.conf', 'backup_label']); // A restore writes to these.
  for (const { path } of files.filter((file) => !set.has(toText(file.path)))) {
    const name = toText(path);
    expect(readFileSync(join(scratch, name)).equals(readFileSync(join(aside, name))), `${backup.label}: ${name}`).toBe(true);
  }
  rmSync(scratch, { recursive: true, force: true });
}

/** Bytes on the disk of a whole repository; a file with several links counts once. */
export function diskBytes(root: string): number {
  const seen = new Set<number>();
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).reduce((sum, name) => {
    const { ino, blocks } = statSync(join(root, name));
    if (seen.has(ino)) return sum;
    seen.add(ino);
    return sum + blocks * 512;
  }, 0);
}
