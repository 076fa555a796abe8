import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import type { Instance } from '../harness/instance.ts';
import { known } from '../harness/rows.ts';

/** What must still be there when one thing is damaged and the server runs. */
const documents = (instance: Instance): Promise<number> =>
  askNumber(instance, 'app', 'SELECT count(*) FROM documents WHERE checksum = md5(body)');
const archive = (instance: Instance): Promise<number> => askNumber(instance, 'archive', 'SELECT count(*) FROM ledger');
const ledgerFrom = async (instance: Instance, from: number, to: number): Promise<number> => {
  const query = `SELECT count(amount)::int AS count FROM ledger WHERE id BETWEEN ${from} AND ${to}`;
  const [row] = await ask<{ count: number }>(instance, 'app', 'SET enable_seqscan = off', 'SET enable_bitmapscan = off', query);
  return row!.count;
};

/** One page of `ledger` is lost; far from it every row answers through the index, and so do the other tables. */
export async function expectOtherPages(instance: Instance, added: number): Promise<void> {
  expect(await ledgerFrom(instance, 1000, known.ledger + added)).toBe(known.ledger + added - 999);
  await expect(ask(instance, 'app', 'SELECT sum(amount) FROM ledger')).rejects.toThrow(/invalid page in block 3/);
  await expectOtherTables(instance);
}

/** `ledger` lost its end; its beginning answers. */
export async function expectRowsBeforeTheCut(instance: Instance): Promise<void> {
  expect(await ledgerFrom(instance, 1, 500)).toBe(500);
  await expectOtherTables(instance);
}

/** `ledger` is lost, all other tables are whole. */
export async function expectOtherTables(instance: Instance): Promise<void> {
  expect(await documents(instance)).toBe(known.documents);
  expect(await archive(instance)).toBe(known.archive);
}

/** The long values of `documents` are lost, the ledgers are whole. */
export async function expectLedger(instance: Instance, added: number): Promise<void> {
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + added);
  expect(await archive(instance)).toBe(known.archive);
}

/** The database `archive` is lost, `app` is whole. */
export async function expectApplication(instance: Instance, added: number): Promise<void> {
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + added);
  expect(await documents(instance)).toBe(known.documents);
}
