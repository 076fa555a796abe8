import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Instance } from '../harness/instance.ts';

const AGAIN_MS = 5;

/** Clients that hold whatever connection they get and try again at once when they are refused, as a pool does. */
export function stormOf(count: number, { socketDir: host, port }: Instance): { readonly entered: () => number; stop(): Promise<void> } {
  let over = false;
  let entered = 0;
  const open = new Set<pg.Client>();
  const client = async (): Promise<void> => {
    while (!over) {
      const one = new pg.Client({ host, port, user: 'postgres', database: 'app' });
      one.on('error', () => undefined);
      open.add(one);
      try {
        await one.connect();
        entered += 1;
        await one.query('SELECT pg_sleep(600)');
      } catch {
        await one.end().catch(() => undefined);
      }
      open.delete(one);
      await sleep(AGAIN_MS);
    }
  };
  const all = Array.from({ length: count }, client);
  return {
    entered: () => entered,
    async stop() {
      over = true;
      for (const one of open) one.connection.stream.destroy();
      await Promise.all(all);
    },
  };
}
