import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { killAllIn, until } from '../harness/processes.ts';
import { scenario } from './disaster.ts';
import { random } from './random.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const SEED = Number(process.env['DBKIT_TEST_SEED'] ?? 1);
const WRITERS = 4;
const withArchive = { env: { DBKIT_WAL: 'tail' } };
/** After the first acknowledged commit of a life, so that each kill meets writers at work. */
const WINDOW_MS = 700;

/** One client: it writes row after row, in transactions of several rows now and then, and notes each commit that was acknowledged. */
async function write({ socketDir, port }: Instance, writer: number, ledger: Set<number>): Promise<void> {
  const client = new pg.Client({ host: socketDir, port, user: 'postgres', database: 'app' });
  client.on('error', () => undefined); // The server is killed under it.
  await client.connect();
  for (let id = Math.max(0, ...ledger) + 1_000; ; id += 3) {
    const ids = id % 2 === 0 ? [id] : [id, id + 1, id + 2];
    const values = ids.map((one) => `(${writer}, ${one})`).join(', ');
    const isAcknowledged = await client.query(`INSERT INTO commits VALUES ${values}`).then(
      () => true,
      () => false,
    );
    if (!isAcknowledged) break;
    for (const one of ids) ledger.add(one);
  }
  await client.end().catch(() => undefined);
}

for (const [kills, longTier] of [
  [4, false],
  [20, true],
] as const)
  scenario(
    {
      longTier,
      name: `everything was killed ${kills} times at random under four writers`,
      section: 'A',
      detectedBefore: true,
      healedBy: 'start',
      rowsLost: 'none that was acknowledged',
      from: 'template',
      timeoutMs: 600_000,
    },
    async (instance) => {
      const ledgers = Array.from({ length: WRITERS }, () => new Set<number>());
      const acknowledged = (): number => ledgers.reduce((sum, { size }) => sum + size, 0);
      let running = await boot(instance, withArchive);
      await ask(instance, 'app', 'CREATE TABLE commits (writer int, id int, PRIMARY KEY (writer, id))');
      await takeBackup(instance); // By it each page of zeroes that a crash leaves is known for what it is.
      for (let kill = 1; kill <= kills; kill += 1) {
        const before = acknowledged();
        const writing = ledgers.map((ledger, writer) => write(instance, writer, ledger));
        await until(
          () => acknowledged() > before,
          () => running.words(),
        );
        await sleep(random(SEED * 1_000 + kill) * WINDOW_MS);
        await killAllIn(instance.root);
        await Promise.all([...writing, running.ended]);
        running = await boot(instance, withArchive);
        const what = `kill ${kill} of seed ${SEED}:\n${running.words()}`;
        expect(await readRecovery(instance), what).toMatchObject({ decision: 'start', quarantine: null, lost: 'nothing' });
        const rows = await ask<{ writer: number; id: number }>(instance, 'app', 'SELECT writer, id FROM commits');
        const there = new Set(rows.map(({ writer, id }) => `${writer} ${id}`));
        const missing = ledgers.flatMap((ledger, writer) => [...ledger].filter((id) => !there.has(`${writer} ${id}`)));
        expect(missing, what).toEqual([]);
      }
      await expectStopped(instance, await running.stop());
    },
  );
