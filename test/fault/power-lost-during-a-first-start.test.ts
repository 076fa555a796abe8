import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { askNumber } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { boot, start } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import { killAllIn } from '../harness/processes.ts';
import { expectNewInstance } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped, quarantined } from './verdict.ts';

scenario(
  {
    name: 'the power fails during a first start after its server was ready, and pg_control is torn',
    section: 'D',
    detectedBefore: true,
    healedBy: 'initialize',
    rowsLost: 'none: the init scripts run again, and the files are set aside whole',
    from: 'empty',
    longTier: true,
  },
  async (instance) => {
    const script = join(instance.initScriptsDir, '10-rows.sql');
    await writeFile(script, 'CREATE TABLE early AS SELECT generate_series(1, 700) AS i;', { mode: 0o644 });
    await ownedBy(script, serverUser);
    const running = start(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: 'initialize.ensured:1' } });
    expect((await running.ended).signal).toBe('SIGKILL');
    await killAllIn(instance.dataDir);
    const [marker, control] = [join(instance.dataDir, 'dbkit.initializing'), join(instance.dataDir, 'global/pg_control')];
    await writeFile(marker, JSON.stringify({ ...JSON.parse(await readFile(marker, 'utf8')), bootId: 'of the boot before' }));
    const whole = await readFile(control);
    await truncate(control, 4096);
    const again = await boot(instance);
    await expectNewInstance(instance);
    await expectStopped(instance, await again.stop());
    const aside = await quarantined(instance);
    expect(aside, 'nothing of it was removed').toHaveLength(1);
    await writeFile(join(aside[0]!, 'global/pg_control'), whole);
    const bare = await startBare(instance.programs, aside[0]!, instance);
    expect(bare.up, bare.words()).toBe(true);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM early'), bare.words()).toBe(700);
    await bare.stop();
  },
);
