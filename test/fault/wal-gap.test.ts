import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, inspect, readRecovery } from '../harness/dbkit.ts';
import { sha256 } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { addRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

/** Four segments since the last checkpoint, with rows in each; the names of them, oldest first. */
async function fourSegments(instance: Instance): Promise<string[]> {
  await ask(instance, 'app', 'CHECKPOINT');
  const [redo] = await ask<{ file: string }>(instance, 'app', 'SELECT redo_wal_file AS file FROM pg_control_checkpoint()');
  for (let round = 0; round < 4; round += 1) {
    await addRows(instance, known.ledger + 1 + round * 10, 10);
    await ask(instance, 'app', 'SELECT pg_switch_wal()');
  }
  await addRows(instance, known.ledger + 41, 10);
  const names = (await readdir(join(instance.dataDir, 'pg_wal'))).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  return names.slice(names.indexOf(redo!.file));
}

scenario(
  {
    name: 'a WAL segment in the middle of what crash recovery must replay is gone',
    section: 'C',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'those in the WAL from there on; the report tells from which LSN to which, and that WAL is kept',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    const [, , gone, behind] = await fourSegments(instance);
    const whole = await sha256(join(instance.dataDir, 'pg_wal', behind!));
    await crash(instance, running);
    await rm(join(instance.dataDir, 'pg_wal', gone!));
    expect((await inspect(instance)).findings.map(({ code }) => code)).toContain('wal.gap');

    const again = await boot(instance);
    const report = await readRecovery(instance);
    expect(report, again.words()).toMatchObject({ decision: 'repair', losses: [{ kind: 'window', upToLsn: expect.any(String) }] });
    expect(await sha256(join(report!.quarantine!, 'pg_wal', behind!))).toBe(whole);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 20);
    await expectStopped(instance, await again.stop());
    const third = await boot(instance);
    expect(third.words(), 'it is told once').not.toMatch(/committed after/);
    await expectStopped(instance, await third.stop());
  },
);

scenario(
  {
    longTier: true,
    name: 'a WAL segment that crash recovery must replay is gone, and the newest backup holds it',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none: the very segment is brought back',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await addRows(instance, known.ledger + 1, 10);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 11, 10);
    const [redo] = await ask<{ file: string }>(instance, 'app', 'SELECT redo_wal_file AS file FROM pg_control_checkpoint()');
    await crash(instance, running);
    await rm(join(instance.dataDir, 'pg_wal', redo!.file));
    const again = await boot(instance);
    expect(await readRecovery(instance), again.words()).toMatchObject({ decision: 'repair', lost: 'nothing' });
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger')).toBe(known.ledger + 20);
    expect(existsSync(join(instance.backupDir, 'quarantine'))).toBe(false);
    await expectStopped(instance, await again.stop());
  },
);
