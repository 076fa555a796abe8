import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { RecoveryReport } from '../../src/recovery/report.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { killWhoeverEnters } from '../harness/processes.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

async function withHits(instance: Instance): Promise<void> {
  const first = await boot(instance);
  await ask(instance, 'postgres', 'CREATE DATABASE other');
  await ask(instance, 'postgres', 'CREATE UNLOGGED TABLE hits AS SELECT generate_series(1, 1000) AS n');
  await expectStopped(instance, await first.stop());
}

const lossesOf = (report: RecoveryReport | undefined): readonly string[] | undefined =>
  report?.losses.map((loss) => (loss.kind === 'unknown' ? loss.reason : loss.kind)).sort();

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
    await withHits(instance);
    const killer = killWhoeverEnters(instance.dataDir, 'other');
    try {
      const running = await boot(instance);
      expect(lossesOf(await readRecovery(instance)), running.words()).toEqual(['not-asked', 'unlogged']);
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

scenario(
  {
    name: 'a session of one database crashes the server once: the database is asked again and answers, and what the crash cost is told',
    section: 'D',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'those of unlogged tables: told',
    from: 'template',
  },
  async (instance) => {
    await withHits(instance);
    const killer = killWhoeverEnters(instance.dataDir, 'other', 1);
    try {
      const running = await boot(instance);
      expect(lossesOf(await readRecovery(instance)), running.words()).toEqual(['unlogged']);
      expect(killer.count()).toBe(1);
      expect(await askNumber(instance, 'other', 'SELECT 1')).toBe(1);
      await expectStopped(instance, await running.stop());
    } finally {
      await killer.stop();
    }
  },
);
