import { expect } from 'vitest';
import { type Address, ask, askNumber } from './ask.ts';

/** What every template holds. */
export const known = { ledger: 3000, documents: 20, archive: 500 } as const;

/** One row of `ledger`; its checksum is over its other columns, so a row that was changed on disk is told from one that was not. */
export const ledgerRow = `
  i, 'account-' || i % 97, i * 1.25, repeat(md5(i::text), 3),
  md5(i || ':' || 'account-' || i % 97 || ':' || i * 1.25 || ':' || repeat(md5(i::text), 3))`;
const sound = `checksum = md5(id || ':' || account || ':' || amount || ':' || note)`;

/** Adds acknowledged rows after the known ones. */
export async function addRows(address: Address, from: number, count: number): Promise<void> {
  await ask(address, 'app', `INSERT INTO ledger SELECT ${ledgerRow} FROM generate_series(${from}, ${from + count - 1}) i`);
}

/** Every row that was ever acknowledged is there and unchanged: by the table, by its index, in the toast table and in the other database. */
export async function expectAllRows(address: Address, added: number): Promise<void> {
  const ledger = known.ledger + added;
  const [seen] = await ask<Record<string, number>>(
    address,
    'app',
    `SELECT (SELECT count(*)::int FROM ledger) AS ledger,
            (SELECT count(*)::int FROM ledger WHERE ${sound}) AS sound,
            (SELECT count(*)::int FROM documents WHERE checksum = md5(body)) AS documents`,
  );
  expect(seen).toEqual({ ledger, sound: ledger, documents: known.documents });
  const [byIndex] = await ask<{ count: number }>(
    address,
    'app',
    'SET enable_seqscan = off',
    `SELECT count(*)::int FROM ledger WHERE account LIKE 'account-%' AND account >= ''`,
  );
  expect(byIndex, 'rows found through the index').toEqual({ count: ledger });
  expect(await askNumber(address, 'archive', `SELECT count(*) FROM ledger WHERE ${sound}`), 'rows of the other database').toBe(
    known.archive,
  );
}

/** The server answers, but nothing of the known rows is in it: a new instance. */
export async function expectNewInstance(address: Address): Promise<void> {
  const [seen] = await ask<{ app: boolean; archive: boolean; ledger: boolean }>(
    address,
    'app',
    `SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'app') AS app,
            EXISTS (SELECT FROM pg_database WHERE datname = 'archive') AS archive,
            to_regclass('ledger') IS NOT NULL AS ledger`,
  );
  expect(seen).toEqual({ app: true, archive: false, ledger: false });
}
