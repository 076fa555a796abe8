import { startBare } from '../harness/bare-server.ts';
import { crash } from '../harness/breaking.ts';
import { boot } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { addRows, known } from '../harness/rows.ts';
import type { Disaster } from './declaration.ts';
import { expectStopped } from './verdict.ts';

const ADDED = 200; // Committed after the last checkpoint: only WAL holds them when the power goes.

/** Leaves the instance as the disaster finds it; how many rows were acknowledged on top of the known ones. */
export async function leave(instance: Instance, { left, prepare }: Disaster): Promise<number> {
  if (left === 'empty') return 0;
  if (left === 'unseen') {
    if (prepare) await withBareServer(instance, () => prepare(instance));
    return 0;
  }
  const running = await boot(instance);
  await prepare?.(instance);
  await addRows(instance, known.ledger + 1, ADDED);
  if (left === 'crashed') await crash(instance, running);
  else await expectStopped(instance, await running.stop());
  return ADDED;
}

async function withBareServer(instance: Instance, work: () => Promise<void>): Promise<void> {
  const server = await startBare(instance.programs, instance.dataDir, instance);
  if (!server.up) throw new Error(`the server does not start:\n${server.words()}`);
  try {
    await work();
  } finally {
    await server.stop();
  }
}
