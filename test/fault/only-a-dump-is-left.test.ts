import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { isRoot, serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { remove } from '../harness/breaking.ts';
import { boot, type Running, readRecovery, run, start } from '../harness/dbkit.ts';
import { makeDirectory } from '../harness/files.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { needsReachableProgram } from '../harness/permissions.ts';
import { killAllIn, until } from '../harness/processes.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped, quarantined } from './verdict.ts';

/** A dump of every database, and rows that were committed after it. */
async function dumpAndMore(instance: Instance, added: number): Promise<void> {
  const running = await boot(instance);
  await ask(instance, 'postgres', 'CREATE TABLE notes AS SELECT 7 AS id');
  const taken = await run(instance, ['backup', 'create', '--engine', 'dump', '--all']);
  expect(taken, taken.stderr).toMatchObject({ code: 0 });
  if (added > 0) await addRows(instance, known.ledger + 1, added);
  await expectStopped(instance, await running.stop());
}

/** Every row of the dump, as the application's role finds them. */
async function expectRowsOfTheDump(instance: Instance, running: Running): Promise<void> {
  expect(running.words()).not.toMatch(/could not be loaded/);
  await expectAllRows(instance, 0);
  expect(await askNumber(instance, 'postgres_restored', 'SELECT id FROM notes'), 'what was in the database postgres stands beside it').toBe(
    7,
  );
  const names = await ask<{ datname: string }>(instance, 'postgres', 'SELECT datname FROM pg_database ORDER BY 1');
  expect(names.map(({ datname }) => datname)).toEqual(['app', 'archive', 'postgres', 'postgres_restored', 'template0', 'template1']);
}

scenario(
  {
    name: 'the directory global is gone, and there is no backup but a dump',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'those since the dump; its time is told, and the old data is kept whole',
    from: 'template',
  },
  async (instance) => {
    await dumpAndMore(instance, 50);
    await remove(instance, 'global');
    const planned = await run(instance, ['recover', '--dry-run']);
    expect(planned.stdout).toMatch(/no backup but a dump/);

    const running = await boot(instance);
    await expectRowsOfTheDump(instance, running);
    const report = await readRecovery(instance);
    expect(report, running.words()).toMatchObject({
      decision: 'restore',
      reason: 'damaged-with-dump',
      losses: [{ kind: 'since-backup', label: expect.stringMatching(/^dump_/), oldBytes: expect.stringMatching(/corrupt_/) }],
    });
    expect(await readdir(report!.quarantine!)).toEqual(expect.arrayContaining(['base', 'PG_VERSION']));
    await expectStopped(instance, await running.stop());
    const again = await boot(instance);
    await expectRowsOfTheDump(instance, again);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'the data directory is empty, and of its databases there is a dump; the first start with it is killed half-way',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'those since the dump; its time is told',
    from: 'template',
    longTier: true,
  },
  async (instance) => {
    await dumpAndMore(instance, 0);
    await remove(instance, ...(await readdir(instance.dataDir)));
    for (const step of ['initialize.published', 'dump.checked', 'dump.swapping']) {
      const killed = start(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: `${step}:1` } });
      expect((await killed.ended).signal, step).toBe('SIGKILL');
      await killAllIn(instance.dataDir);
    }
    const running = await boot(instance);
    await expectRowsOfTheDump(instance, running);
    await until(
      async () => (await readRecovery(instance))?.losses.some(({ kind }) => kind === 'since-backup') === true,
      () => running.words(),
    );
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'the data is damaged beyond repair, and the only dump is damaged too',
    section: 'D',
    detectedBefore: true,
    healedBy: 'reinitialize',
    rowsLost: 'all, until a person reads the old data, which is kept whole',
    from: 'template',
    longTier: true,
  },
  async (instance) => {
    const ran = join(instance.logDir, 'migrated');
    const migrate = ['sh', '-c', `echo "$PGUSER of $PGDATABASE" >> ${ran}`];
    await configure(instance, { recovery: { migrate } });
    await dumpAndMore(instance, 0);
    expect(existsSync(ran), 'nothing is migrated where the data is as it was').toBe(false);
    const [dump] = (await readdir(instance.backupDir)).filter((name) => /^dump_\d+_\d+$/.test(name));
    const [database] = (await readdir(join(instance.backupDir, dump!))).filter((name) => name.startsWith('database-'));
    const [data] = (await readdir(join(instance.backupDir, dump!, database!))).filter((name) => /\.dat/.test(name));
    await rm(join(instance.backupDir, dump!, database!, data!));
    await remove(instance, 'global');
    const running = await boot(instance);
    expect(running.words()).toContain(`${dump} `);
    const report = await readRecovery(instance);
    expect(report).toMatchObject({ decision: 'reinitialize', losses: [{ kind: 'cluster' }] });
    expect(await readFile(ran, 'utf8'), 'the new cluster is brought to its schema, once').toBe('app of app\n');
    expect(report?.steps.at(-1)).toMatchObject({ step: 'migrate', reason: 'migrated', done: true });
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'only a dump is left, and its volume is not mounted when it is to be loaded',
    section: 'D',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none: no client meets an empty database, and with the volume back all of them are there',
    from: 'template',
    longTier: true,
  },
  async (instance) => {
    await dumpAndMore(instance, 0);
    await remove(instance, 'global');
    const killed = start(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: 'dump.checked:1' } });
    expect((await killed.ended).signal).toBe('SIGKILL');
    await killAllIn(instance.dataDir);

    const away = `${instance.backupDir}-away`;
    await rename(instance.backupDir, away);
    await makeDirectory(instance.backupDir, serverUser);
    const held = await run(instance, ['entrypoint']);
    expect(held, held.stderr).toMatchObject({ stderr: expect.stringMatching(/belongs into the new cluster[\s\S]*HINT: mount/) });
    expect(held.code).not.toBe(0);
    await rm(instance.backupDir, { recursive: true });
    await rename(away, instance.backupDir);

    const running = await boot(instance);
    await expectRowsOfTheDump(instance, running);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'only a dump is left, and nothing of it may be read: first its manifest, then a file of it, then the whole repository (mode 0000)',
    section: 'D',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none: nothing is replaced, and once it may be read all of them are there',
    needs: () => (isRoot ? needsReachableProgram() : undefined),
    from: 'template',
    longTier: true,
  },
  async (instance) => {
    await makeDirectory(instance.stateDir, serverUser);
    await dumpAndMore(instance, 0);
    await remove(instance, 'global');
    const label = (await readdir(instance.backupDir)).find((name) => /^dump_\d+_\d+$/.test(name))!;
    const record = async (): Promise<string> => readFile(join(instance.backupDir, `${label}.json`), 'utf8');
    const database = (await readdir(join(instance.backupDir, label))).find((name) => name.startsWith('database-'))!;
    const closed = [`${label}.json`, `${label}/manifest.json`, `${label}/${database}`, ''].map((path) => join(instance.backupDir, path));
    for (const path of closed) {
      await chmod(path, 0);
      const held = await run(instance, ['entrypoint'], { as: serverUser });
      await chmod(path, path.endsWith('.json') ? 0o600 : 0o700);
      expect(held.code, `${path}: ${held.stderr}`).not.toBe(0);
      expect(held.stderr, path).toMatch(/EACCES|cannot be read/);
      expect(await quarantined(instance), `${path}: nothing was replaced`).toEqual([]);
      expect(JSON.parse(await record()), 'a mode says nothing of the dump').toMatchObject({ state: 'good', problem: null });
    }
    const killed = start(instance, ['entrypoint'], { as: serverUser, env: { DBKIT_FAIL_AT: 'dump.checked:1' } });
    expect((await killed.ended).signal).toBe('SIGKILL');
    await killAllIn(instance.dataDir);
    await chmod(closed[1]!, 0);
    const held = await run(instance, ['entrypoint'], { as: serverUser });
    await chmod(closed[1]!, 0o600);
    expect(held.code, `while it is loaded: ${held.stderr}`).not.toBe(0);
    const running = await boot(instance, { as: serverUser });
    await expectRowsOfTheDump(instance, running);
    await expectStopped(instance, await running.stop());
  },
);

scenario(
  {
    name: 'only dumps are left, and the newest one holds a single database',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'those since the dump that is whole; its time is told',
    from: 'template',
    longTier: true,
  },
  async (instance) => {
    const running = await boot(instance);
    await ask(instance, 'postgres', 'CREATE TABLE notes AS SELECT 7 AS id');
    for (const what of [['--all'], ['--database', 'archive']]) {
      const taken = await run(instance, ['backup', 'create', '--engine', 'dump', ...what]);
      expect(taken, taken.stderr).toMatchObject({ code: 0 });
    }
    await expectStopped(instance, await running.stop());
    await remove(instance, ...(await readdir(instance.dataDir)));
    const again = await boot(instance);
    await expectRowsOfTheDump(instance, again);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'only a dump is left, and two databases of the server could not be in it',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'those since the dump, and the two databases; both are named',
    from: 'template',
    longTier: true,
  },
  async (instance) => {
    const running = await boot(instance);
    await ask(instance, 'postgres', "CREATE DATABASE latin ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    const named = String.raw`EXECUTE format('CREATE TABLE %I AS SELECT 1 AS id', convert_from('\xe9'::bytea, 'SQL_ASCII'))`;
    await ask(instance, 'latin', `DO $$BEGIN ${named}; END$$`);
    await ask(instance, 'postgres', 'CREATE DATABASE vault', 'ALTER DATABASE vault ALLOW_CONNECTIONS false');
    const alone = await run(instance, ['backup', 'create', '--engine', 'dump', '--database', 'latin']);
    expect(alone, 'nothing is damaged').toMatchObject({ code: 1, stderr: expect.stringMatching(/not written in UTF-8[\s\S]*base backup/) });
    await expectStopped(instance, await running.stop());
    await dumpAndMore(instance, 0);
    await remove(instance, ...(await readdir(instance.dataDir)));
    const again = await boot(instance);
    await expectRowsOfTheDump(instance, again);
    expect((await readRecovery(instance))?.losses).toMatchObject([
      { kind: 'since-backup' },
      { kind: 'database', database: 'vault', evidence: expect.stringContaining('no other dump does') },
      { kind: 'database', database: 'latin', evidence: expect.stringMatching(/does not hold it: names in it are not written in UTF-8/) },
    ]);
    await expectStopped(instance, await again.stop());
  },
);

scenario(
  {
    name: 'the machine dies while a new cluster, which clients have met, is brought to its schema',
    section: 'C',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none',
    from: 'template',
    longTier: true,
  },
  async (instance) => {
    await dumpAndMore(instance, 0);
    await remove(instance, 'global');
    const running = start(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: 'initialize.durable:1' } });
    expect((await running.ended).signal).toBe('SIGKILL');
    await killAllIn(instance.dataDir);
    const marker = join(instance.dataDir, 'dbkit.initializing');
    await writeFile(marker, JSON.stringify({ ...JSON.parse(await readFile(marker, 'utf8')), bootId: 'of the boot before' }));
    const before = await quarantined(instance);
    const again = await boot(instance);
    await expectRowsOfTheDump(instance, again);
    expect(await quarantined(instance), 'nothing else was replaced').toEqual(before);
    await expectStopped(instance, await again.stop());
  },
);
