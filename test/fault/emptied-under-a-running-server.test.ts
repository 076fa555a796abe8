import { readdir, rm } from 'node:fs/promises';
import { expect } from 'vitest';
import { boot, readStatus, run } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';

scenario(
  {
    name: 'the data directory was removed under a running server, and a recovery is asked for',
    section: 'D',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none by dbkit: the server whose open files are the last copies is not ended, and nothing is initialised over it',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    const before = await readStatus(instance);
    await rm(instance.dataDir, { recursive: true });
    const refused = await run(instance, ['recover', '--yes']);
    expect(refused, refused.stderr).toMatchObject({ code: 77 });
    expect(refused.stderr).toMatch(/last copies/);
    const after = await readStatus(instance);
    expect(after?.services[0]?.pid, 'the same server').toBe(before?.services[0]?.pid);
    expect(await readdir(instance.dataDir).catch(() => []), 'nothing was initialised').toEqual([]);
    await running.stop('SIGKILL');
  },
);
