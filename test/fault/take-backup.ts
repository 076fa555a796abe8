import { expect } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { run } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { known } from '../harness/rows.ts';

/** A base backup of the running instance; rows that are added after it are in the WAL only. */
export async function takeBackup(instance: Instance): Promise<void> {
  const taken = await run(instance, ['maintenance', 'backup']);
  expect(taken, taken.stderr).toMatchObject({ code: 0 });
}

/** Every row that was there when the backup was taken. */
export async function expectRowsOfTheBackup(instance: Instance): Promise<void> {
  expect(await askNumber(instance, 'app', `SELECT count(amount) FROM ledger WHERE id <= ${known.ledger}`)).toBe(known.ledger);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM documents WHERE checksum = md5(body)')).toBe(known.documents);
  expect(await askNumber(instance, 'archive', 'SELECT count(*) FROM ledger')).toBe(known.archive);
}
