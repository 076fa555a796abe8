import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber, askText } from '../harness/ask.ts';
import { crash } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectOtherTables } from './rest-of-the-rows.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const kinds = [
  { of: 'scratch', what: 'an unlogged table' },
  { of: 'scratch_i', what: 'an index of an unlogged table' },
  { of: 'scratch_n', what: 'an unlogged sequence', majors: [15, 16, 17, 18] },
];

for (const { of, what, majors } of kinds)
  scenario(
    {
      name: `a folder stands in the place of the file from which crash recovery fills ${what}`,
      section: 'B',
      detectedBefore: true,
      healedBy: 'repair',
      rowsLost: 'none (an unlogged table is emptied by every crash)',
      from: 'template',
      ...(majors ? { majors } : {}),
    },
    async (instance) => {
      const first = await boot(instance);
      await ask(
        instance,
        'app',
        'CREATE INDEX scratch_i ON scratch (i)',
        ...(majors ? ['CREATE UNLOGGED SEQUENCE scratch_n'] : []),
        'CHECKPOINT',
      );
      const path = join(instance.dataDir, `${await askText(instance, 'app', `SELECT pg_relation_filepath('${of}')`)}_init`);
      await crash(instance, first);
      await rm(path);
      await makeDirectory(path, serverUser, 0o700);

      const running = await boot(instance);
      expect((await readRecovery(instance))?.lost, running.words()).toBe('nothing');
      await expectOtherTables(instance);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM scratch')).toBe(0);
      await ask(instance, 'app', 'INSERT INTO scratch SELECT generate_series(1, 500)', 'ALTER DATABASE app SET enable_seqscan = off');
      if (majors) expect(await askNumber(instance, 'app', "SELECT nextval('scratch_n')")).toBe(1);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM scratch WHERE i = 77')).toBe(1);
      await crash(instance, running);
      const again = await boot(instance);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM scratch')).toBe(0);
      if (majors) expect(await askNumber(instance, 'app', "SELECT nextval('scratch_n')")).toBe(1);
      await expectStopped(instance, await again.stop());
    },
  );

/** An index of an unlogged table, after a crash, with a folder in the place of its init fork. */
async function withFolder(instance: Instance): Promise<void> {
  const first = await boot(instance);
  await ask(instance, 'app', 'CREATE INDEX scratch_i ON scratch (i)', 'CHECKPOINT');
  const path = join(instance.dataDir, `${await askText(instance, 'app', `SELECT pg_relation_filepath('scratch_i')`)}_init`);
  await crash(instance, first);
  await rm(path);
  await makeDirectory(path, serverUser, 0o700);
}

async function expectUsable(instance: Instance): Promise<void> {
  const running = await boot(instance);
  await ask(instance, 'app', 'INSERT INTO scratch SELECT generate_series(1, 500)', 'ALTER DATABASE app SET enable_seqscan = off');
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM scratch WHERE i = 77'), running.words()).toBe(1);
  await expectOtherTables(instance);
  await expectStopped(instance, await running.stop());
}

scenario(
  {
    name: 'dbkit is killed when it has taken a folder out of the place of an init fork',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none (an unlogged table is emptied by every crash)',
    from: 'template',
  },
  async (instance) => {
    await withFolder(instance);
    const killed = await run(instance, ['recover', '--yes'], { env: { DBKIT_FAIL_AT: 'repair.set-aside:1' } });
    expect(killed.code, killed.stderr).not.toBe(0);
    await expectUsable(instance);
  },
);

scenario(
  {
    name: '`dbkit recover` takes a folder out of the place of an init fork, and the start comes later',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none (an unlogged table is emptied by every crash)',
    from: 'template',
  },
  async (instance) => {
    await withFolder(instance);
    const recovered = await run(instance, ['recover', '--yes']);
    expect(recovered.code, recovered.stderr).toBe(0);
    await expectUsable(instance);
  },
);

scenario(
  {
    name: 'a folder bears the name of an init fork beside a table that is logged: it is set aside, and no crash empties the table',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await crash(instance, first);
    await makeDirectory(join(instance.dataDir, `${instance.places.ledger}_init`), serverUser, 0o700);
    const running = await boot(instance);
    await expectAllRows(instance, 0);
    await crash(instance, running);
    const again = await boot(instance);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'a folder stands in the place of an unlogged table’s init fork after a clean stop: its rows stay, until a crash',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none (an unlogged table is emptied by every crash)',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await expectStopped(instance, await first.stop());
    const path = join(instance.dataDir, `${instance.places.scratch}_init`);
    await rm(path);
    await makeDirectory(path, serverUser, 0o700);
    const running = await boot(instance);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM scratch')).toBe(1000);
    await crash(instance, running);
    const again = await boot(instance);
    await expectAllRows(instance, 0);
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM scratch')).toBe(0);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'a folder stands in the place of the init forks of an unlogged table that was made just before the crash, and of its index',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none (an unlogged table is emptied by every crash)',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await ask(instance, 'app', 'CREATE UNLOGGED TABLE young (i int PRIMARY KEY)', 'INSERT INTO young SELECT generate_series(1, 5000)');
    const forks = await Promise.all(
      ['young', 'young_pkey'].map(async (name) => `${await askText(instance, 'app', `SELECT pg_relation_filepath('${name}')`)}_init`),
    );
    await crash(instance, first);
    for (const fork of forks) {
      await rm(join(instance.dataDir, fork));
      await makeDirectory(join(instance.dataDir, fork), serverUser, 0o700);
    }
    const killed = await run(instance, ['recover', '--yes'], { env: { DBKIT_FAIL_AT: 'repair.set-aside:2' } });
    expect(killed.code, killed.stderr).not.toBe(0);
    for (const start of ['the start after it', 'the start after the next crash']) {
      const running = await boot(instance);
      await ask(instance, 'app', 'INSERT INTO young VALUES (7)', 'ALTER DATABASE app SET enable_seqscan = off');
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM young WHERE i = 7'), start).toBe(1);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM young'), start).toBe(1);
      await crash(instance, running);
    }
    const last = await boot(instance);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await last.stop());
  },
);

scenario(
  {
    name: 'a folder bears the name of a segment that a small table never had: nothing is replaced, and nothing is missed',
    section: 'B',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    await takeBackup(instance);
    await crash(instance, first);
    await makeDirectory(join(instance.dataDir, `${instance.places.ledger}.1`), serverUser, 0o700);
    const running = await boot(instance);
    expect(await readRecovery(instance), running.words()).toMatchObject({ decision: 'repair', lost: 'nothing' });
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);
