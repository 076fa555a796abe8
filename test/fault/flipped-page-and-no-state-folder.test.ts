import { rm } from 'node:fs/promises';
import { expect } from 'vitest';
import { flipByte } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';
import { expectOtherPages } from './rest-of-the-rows.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'a page rotted while the server was stopped, and the state folder is gone: the pages are read, as nothing else tells',
    section: 'C',
    detectedBefore: false,
    healedBy: 'serving the rest',
    rowsLost: 'those of that page',
    from: 'template',
  },
  async (instance) => {
    await expectStopped(instance, await (await boot(instance)).stop());
    await flipByte(instance, instance.places.ledger, 3 * 8192 + 5000);
    await rm(instance.stateDir, { recursive: true });
    const running = await boot(instance);
    expect((await readRecovery(instance))?.lost, running.words()).toMatch(/public\.ledger in database app.*: page 3 fails its checksum/);
    await expectOtherPages(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);
