import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { PASSWORD } from './lab.ts';

/** Rows that were acknowledged, and what clients saw meanwhile. */
export interface Ledger {
  /** Ends the writers; the numbers that were acknowledged, and the errors that clients saw. */
  stop(): Promise<{ readonly acked: readonly number[]; readonly errors: readonly string[] }>;
}

const client = (port: number, database = 'postgres'): pg.Client =>
  new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password: PASSWORD, database, connectionTimeoutMillis: 20_000 });

/** One statement in a session of its own. */
export async function ask(port: number, text: string, database?: string): Promise<readonly Record<string, unknown>[]> {
  const session = client(port, database);
  session.on('error', () => undefined);
  await session.connect();
  try {
    return (await session.query(text)).rows as Record<string, unknown>[];
  } finally {
    await session.end();
  }
}

/** Clients that write one row after the other into `ledger`, numbered from `after` on, each in a session that it keeps. */
export async function writeRows(port: number, writers: number, after = 0): Promise<Ledger> {
  const acked: number[] = [];
  const errors: string[] = [];
  let isOver = false;
  let next = after;
  const write = async (): Promise<void> => {
    const session = client(port);
    session.on('error', (error) => errors.push(error.message));
    await session.connect();
    while (!isOver) {
      next += 1;
      const row = next;
      await session.query(`insert into ledger values (${row})`).then(
        () => acked.push(row),
        (error: Error) => {
          errors.push(error.message);
          isOver = true; // A session that has failed goes on failing.
        },
      );
      await sleep(5);
    }
    await session.end();
  };
  const all = Promise.all(Array.from({ length: writers }, write));
  return {
    async stop() {
      isOver = true;
      await all;
      return { acked, errors };
    },
  };
}

/** How many of these rows are there. */
export async function countOf(port: number, rows: readonly number[]): Promise<number> {
  const [counted] = await ask(port, `select count(*)::int as n from ledger where id in (${rows.join(',')})`);
  return counted!['n'] as number;
}
