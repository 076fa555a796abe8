import { expect, test } from 'vitest';
import { groundAt } from '../../src/cluster/drill/table.ts';
import { takeTurn } from '../../src/cluster/drill/turn.ts';
import { clock } from '../../src/machine/clock.ts';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';

const { signal } = new AbortController();

test.for(installed)('one drill at a time, from whatever machine, also after its leader was lost (PostgreSQL $major)', async (programs) => {
  const instance = await openInstance({ programs, from: 'template' });
  const endpoint = { name: 'write', place: { host: instance.socketDir, port: instance.port } } as const;
  const login = { superuser: 'postgres' };
  const take = () => takeTurn({ endpoint, login, clock }, signal);
  const ground = () => groundAt(endpoint, login, signal);
  const becomes = (schema: 'busy' | 'none') =>
    until(
      async () => (await ground()).schema === schema,
      () => `it is not ${schema}`,
      20_000,
    );
  let server = await startBare(instance.programs, instance.dataDir, instance);
  try {
    const turn = await take();
    expect(turn).not.toBeNull();
    expect(await ground()).toEqual({ schema: 'busy', isPublished: false });
    expect(await take()).toBeNull();
    const [held] = await ask(instance, 'postgres', "SELECT count(*)::int AS sessions FROM pg_locks WHERE locktype = 'advisory'");
    expect(held).toEqual({ sessions: 1 });
    await server.stop();
    server = await startBare(instance.programs, instance.dataDir, instance);
    await becomes('busy'); // Taken again.
    await turn!.release();
    await becomes('none');
    await ask(instance, 'postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
    expect(await ground()).toEqual({ schema: 'none', isPublished: true });
    const next = await take();
    expect(next).not.toBeNull();
    await server.stop();
    await next!.release(); // Also while nobody leads.
  } finally {
    await server.stop();
  }
});
