import { appendFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { askNumber } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;

nightly(
  'a configuration outside PGDATA: its files are not missed, the server gets it, and copies of the data are proven with it',
  async () => {
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const home = join(instance.root, 'etc');
    await mkdir(home, { recursive: true });
    for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']) await rename(join(instance.dataDir, name), join(home, name));
    const settings = { hba_file: join(home, 'pg_hba.conf'), ident_file: join(home, 'pg_ident.conf'), data_directory: instance.dataDir };
    const lines = Object.entries({ ...settings, external_pid_file: join(instance.root, 'run/15-main.pid'), work_mem: '7MB' });
    await appendFile(join(home, 'postgresql.conf'), lines.map(([name, value]) => `${name} = '${value}'\n`).join(''));
    const bare = await startBare(instance.programs, instance.dataDir, {
      ...instance,
      settings: { config_file: join(home, 'postgresql.conf'), data_directory: instance.dataDir },
    });
    expect(bare.up, bare.words()).toBe(true);
    await bare.stop();

    const inspected = JSON.parse((await run(instance, ['inspect', '--deep', '--json'])).stdout) as { report: { findings: unknown[] } };
    expect(inspected.report.findings).toEqual([]);
    const running = await boot(instance);
    expect(await askNumber(instance, 'postgres', "SELECT setting FROM pg_settings WHERE name = 'work_mem'")).toBe(7 * 1024);
    await addRows(instance, known.ledger + 1, 5);
    expect((await run(instance, ['backup', 'create'])).code).toBe(0);
    const drill = await run(instance, ['backup', 'drill', 'latest']);
    expect(drill.code, drill.stderr).toBe(0);
    const restored = await run(instance, ['backup', 'restore', 'latest', '--yes']);
    expect(restored.code, restored.stderr).toBe(0);
    await running.stop();
    await rm(join(instance.dataDir, 'global/2671')); // Rebuilt in single-user mode, which needs the configuration too.
    const again = await boot(instance);
    await expectAllRows(instance, 5);
    await again.stop();
  },
);
