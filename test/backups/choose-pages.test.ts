import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { BackupRun } from '../../src/backups/base/begin-copy.ts';
import { openChooser } from '../../src/backups/base/pages/choose.ts';
import { fromText } from '../../src/formats/byte-path.ts';
import { withCalls } from '../harness/other-calls.ts';
import { record } from './record.fixture.ts';

const FROM_BYTES = 1024 * 1024;

/** Every path that is asked for with lstat(2) while `work` runs. */
async function lstatted(work: () => void): Promise<string[]> {
  const asked: string[] = [];
  const lstatSync = (own: (...args: readonly unknown[]) => unknown, args: readonly unknown[]): unknown => {
    asked.push(String(args[0]));
    return own(...args);
  };
  await withCalls({ lstatSync }, work);
  return asked;
}

test('the backups are not asked for a file that is small anyway, and for a large one each of them is', async () => {
  const root = mkdtempSync(join(tmpdir(), 'dbkit-choose-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const labels = ['data_20261120_195400', 'data_20261121_195400', 'data_20261122_195400'];
  for (const label of [...labels, '.partial/data_20261123_195400']) {
    mkdirSync(join(root, label, 'base/1'), { recursive: true });
    writeFileSync(join(root, label, 'backup_manifest'), '{}');
    writeFileSync(join(root, label, 'base/1/2'), label);
  }
  const records = labels.map((label) => ({ ...record, label }));
  const run = {
    earlier: records.at(-1),
    staging: fromText(join(root, '.partial/data_20261123_195400')),
    config: { backup: { pages: true, pagesFrom: '1MB' } },
    repository: { records: async () => records, openDamage: async () => [], pathOf: (label: string) => join(root, label) },
    system: { log: { debug: () => undefined } },
  } as unknown as BackupRun;
  const choose = await openChooser(run, new AbortController().signal);
  const path = fromText('base/1/2');
  expect(await lstatted(() => expect(choose(path, FROM_BYTES - 1)).toBeUndefined())).toEqual([]);
  const asked = await lstatted(() => expect(choose(path, FROM_BYTES)).toBeDefined()); // Its folders too: a link leads nowhere.
  expect(new Set(asked.filter((one) => one.endsWith('/base/1/2')))).toEqual(new Set(labels.map((label) => join(root, label, 'base/1/2'))));
});
