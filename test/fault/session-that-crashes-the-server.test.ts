import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { killWhoeverEnters } from '../harness/processes.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'each session of one database crashes the server without a word: dbkit asks it no third time, serves the others, and tells what the crashes cost',
    section: 'D',
    detectedBefore: false,
    healedBy: 'serving the rest',
    rowsLost: 'those of unlogged tables: told',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'postgres', 'CREATE DATABASE other');
    await ask(instance, 'postgres', 'CREATE UNLOGGED TABLE hits AS SELECT generate_series(1, 1000) AS n');
    await expectStopped(instance, await first.stop());

    const killer = killWhoeverEnters(instance.dataDir, 'other');
    try {
      const running = await boot(instance);
      const report = await readRecovery(instance);
      expect(report?.losses.map((loss) => (loss.kind === 'unknown' ? loss.reason : loss.kind)).sort(), running.words()).toEqual([
        'not-asked',
        'unlogged',
      ]);
      expect(running.words()).toMatch(/a question to other crashed the server, twice/);
      expect(await askNumber(instance, 'postgres', 'SELECT count(*) FROM hits')).toBe(0);
      const killed = killer.count();
      await sleep(7_000); // dbkit asks what passes again after five seconds.
      expect(killer.count(), running.words()).toBe(killed);
      await expectStopped(instance, await running.stop());
    } finally {
      await killer.stop();
    }
  },
);
