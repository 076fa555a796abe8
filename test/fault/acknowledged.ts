import pg from 'pg';
import { ask, askNumber } from '../harness/ask.ts';
import type { Instance } from '../harness/instance.ts';

/** A client that writes one row after the other, and remembers those whose commit was acknowledged. */
export interface Writer {
  /** The number of the last acknowledged row, and when each was, in milliseconds of one clock. */
  acknowledged(): readonly { readonly id: number; readonly atMs: number }[];
  stop(): Promise<void>;
}

export async function startWriter({ socketDir, port }: Instance, from = 1): Promise<Writer> {
  await ask({ socketDir, port }, 'app', 'CREATE TABLE IF NOT EXISTS acknowledged (id int PRIMARY KEY)');
  const client = new pg.Client({ host: socketDir, port, user: 'postgres', database: 'app' });
  client.on('error', () => undefined); // The server is killed under it.
  await client.connect();
  const done: { id: number; atMs: number }[] = [];
  let isStopped = false;
  const writing = (async () => {
    for (let id = from; !isStopped; id += 1) {
      const written = await client.query('INSERT INTO acknowledged VALUES ($1)', [id]).then(
        () => true,
        () => false,
      );
      if (!written) return;
      done.push({ id, atMs: performance.now() });
    }
  })();
  return {
    acknowledged: () => done,
    async stop() {
      isStopped = true;
      await writing;
      await client.end().catch(() => undefined);
    },
  };
}

/** Acknowledged rows that are not there, of those older than a second when the last one was acknowledged. */
export async function missingOf(instance: Instance, writer: Writer, graceMs = 1_000): Promise<number> {
  const rows = writer.acknowledged();
  const lastMs = rows.at(-1)?.atMs ?? 0;
  const due = rows.filter(({ atMs }) => atMs <= lastMs - graceMs);
  const ids = due.map(({ id }) => id);
  if (ids.length === 0) throw new Error('no row was acknowledged long enough ago: nothing was tested');
  const there = await askNumber(instance, 'app', `SELECT count(*) FROM acknowledged WHERE id BETWEEN ${ids[0]} AND ${ids.at(-1)}`);
  return ids.length - there;
}
