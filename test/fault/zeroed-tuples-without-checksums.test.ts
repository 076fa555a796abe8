import { existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import { asServerUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { flipByte } from '../harness/breaking.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import type { Instance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const programs = installed.find(({ directory }) => existsSync(join(directory, 'pg_checksums')));
const [FROM, PAGE_BYTES] = [4096, 8192];

const declared = { section: 'C', from: 'template', majors: programs ? [programs.major] : [] } as const;

async function stoppedWithoutChecksums(instance: Instance): Promise<void> {
  await execa(join(programs!.directory, 'pg_checksums'), ['--disable', '-D', instance.dataDir], asServerUser);
  await expectStopped(instance, await (await boot(instance)).stop());
}

scenario(
  {
    ...declared,
    name: 'the tuples of a page were zeroed while the server was stopped, and the cluster has no checksums',
    detectedBefore: true,
    healedBy: 'serving the rest',
    rowsLost: 'those of that page',
  },
  async (instance) => {
    await stoppedWithoutChecksums(instance);
    const file = await open(join(instance.dataDir, instance.places.ledger), 'r+');
    await file.write(Buffer.alloc(PAGE_BYTES - FROM), 0, PAGE_BYTES - FROM, FROM);
    await file.close();
    const running = await boot(instance);
    await expectOtherTables(instance);
    expect((await readRecovery(instance))?.lost).toMatch(
      new RegExp(`damaged and not mended: ${instance.places.ledger} .*1 of \\d+ pages is lost`),
    );
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    ...declared,
    name: 'a bit of a row was flipped while the server was stopped, there are no checksums, and the state folder is gone: that nothing proves the files is said, once',
    detectedBefore: false,
    healedBy: 'start',
    rowsLost: 'none, but one may be another',
  },
  async (instance) => {
    await stoppedWithoutChecksums(instance);
    await flipByte(instance, instance.places.ledger, PAGE_BYTES - 2);
    await rm(instance.stateDir, { recursive: true });
    const running = await boot(instance);
    expect(await readRecovery(instance), running.words()).toMatchObject({
      decision: 'start',
      lost: expect.stringMatching(/^not known: the state folder is gone/),
      findings: [{ code: 'inventory.missing' }],
    });
    await expectOtherTables(instance);
    await expectStopped(instance, await running.stop());
    const again = await boot(instance);
    expect(again.words()).not.toMatch(/not known/);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    ...declared,
    name: 'a bit of a row was flipped while the server was stopped, there are no checksums, and the page was written to since the backup: that nobody can tell is told',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none, but one may be another',
  },
  async (instance) => {
    await stoppedWithoutChecksums(instance);
    const first = await boot(instance);
    await takeBackup(instance);
    await ask(instance, 'app', 'UPDATE ledger SET note = note WHERE id = 1', 'CHECKPOINT');
    await expectStopped(instance, await first.stop());
    await flipByte(instance, instance.places.ledger, PAGE_BYTES - 2);
    const running = await boot(instance);
    expect(await readRecovery(instance), running.words()).toMatchObject({
      decision: 'start',
      losses: [{ kind: 'unknown', reason: 'touched' }],
      findings: expect.arrayContaining([expect.objectContaining({ code: 'relation.touched' })]),
    });
    await expectOtherTables(instance);
    await expectStopped(instance, await running.stop());
  },
);
