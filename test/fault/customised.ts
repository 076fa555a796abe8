import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';

/** Gives postgresql.conf a setting of the user's own, so that a file brought back is told from a default one. */
export async function customise({ dataDir }: Instance): Promise<void> {
  await appendFile(join(dataDir, 'postgresql.conf'), "\nwork_mem = '7MB'\n");
}

/** All rows, and the user's own setting. */
export async function expectRowsAndSetting(instance: Instance, added: number): Promise<void> {
  await expectAllRows(instance, added);
  expect(await ask(instance, 'app', 'SHOW work_mem')).toEqual([{ work_mem: '7MB' }]);
}
