import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { copyTree } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { freePort } from '../harness/ports.ts';
import type { Disaster } from './declaration.ts';

/** What a bare `postgres` says of a copy of the same wreck, at its start or to whoever connects: the table's messages are real. */
export async function expectPostgresSays(instance: Instance, { postgresSays }: Disaster): Promise<void> {
  if (postgresSays === undefined) return;
  const copy = join(instance.root, 'bare');
  await copyTree(instance.dataDir, copy);
  // A server that was killed a moment ago may still be a zombie, whose pid then counts as alive; some classes are about just that.
  if (!/lock file|postmaster/.test(postgresSays.source)) await rm(join(copy, 'postmaster.pid'), { force: true });
  const address = { socketDir: instance.socketDir, port: await freePort() };
  const server = await startBare(instance.programs, copy, address);
  if (server.up) {
    for (const query of ['SELECT sum(amount) FROM ledger', 'SELECT sum(length(body)) FROM documents', 'TABLE pg_class']) {
      await ask(address, 'app', query).catch(() => undefined); // It is the log that is read.
    }
    await ask(address, 'archive', 'SELECT sum(amount) FROM ledger').catch(() => undefined);
    await server.stop();
  }
  await server.exited;
  await rm(copy, { recursive: true });
  expect(server.words()).toMatch(postgresSays);
}
