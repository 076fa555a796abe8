import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { crash, remove, scramble, truncateTo } from '../harness/breaking.ts';
import { boot, type Ended, inspect, run } from '../harness/dbkit.ts';
import { makeDirectory, ownedBy, sha256, treeOf } from '../harness/files.ts';
import { configure, type Instance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { openProject } from '../harness/project.ts';
import { addRows, expectAllRows, expectNewInstance, known } from '../harness/rows.ts';
import { untilKept } from '../wal/kept.ts';
import { customise, expectRowsAndSetting } from './customised.ts';
import { expectAllWhole, expectNewestIsPlain, makeSpread, updateSpread } from './spread.ts';
import { takeBackup } from './take-backup.ts';
import { oldMajors, upgradeEnvironment, upgradeWords } from './upgrading.ts';
import { expectStopped, quarantined } from './verdict.ts';

/** A boot that does a certain kind of work, so that it can be killed in the middle of it. */
export interface Story {
  readonly from: 'template' | 'empty';
  /** Where it can be staged; undefined: on every one. */
  readonly majors?: readonly number[];
  /** Brings the instance to where the next boot does the work; what it returns must be true after the boot that follows the kill. */
  stage(instance: Instance): Promise<() => Promise<void>>;
  /** What is killed, when it is not a boot. */
  act?(instance: Instance, env: Readonly<Record<string, string>>): Promise<Ended>;
}

/** A first boot, with an init script that would fail, or leave two rows, if it ran twice on one cluster. */
const initialize: Story = {
  from: 'empty',
  stage: async (instance) => {
    const script = join(instance.initScriptsDir, '10-once.sql');
    await writeFile(script, 'CREATE TABLE IF NOT EXISTS once (i int); INSERT INTO once VALUES (1);', { mode: 0o644 });
    await ownedBy(script, serverUser);
    return async () => {
      await expectNewInstance(instance);
      expect(await askNumber(instance, 'app', 'SELECT count(*) FROM once'), 'the init script ran once').toBe(1);
      expect(await quarantined(instance), 'a half-made cluster is nobody’s data').toEqual([]);
      expect(existsSync(join(instance.dataDir, 'dbkit.initializing'))).toBe(false);
    };
  },
};

/** Crashed and beyond repair, no backup: set aside whole, then initialised. */
const replace: Story = {
  from: 'template',
  stage: async (instance) => {
    await crash(instance, await boot(instance));
    await truncateTo(instance, 'global/pg_control', 0);
    const before = await treeOf(instance.dataDir, ['.dbkit']);
    const ledger = await sha256(join(instance.dataDir, instance.places.ledger));
    return async () => {
      await expectNewInstance(instance);
      const whole = await quarantined(instance);
      expect(whole, 'one quarantine, not one for each try').toHaveLength(1);
      const owed = Object.keys(before).filter((path) => !/^postmaster\./.test(path));
      expect(Object.keys(await treeOf(whole[0]!))).toEqual(expect.arrayContaining(owed));
      expect(await sha256(join(whole[0]!, instance.places.ledger))).toBe(ledger);
    };
  },
};

/** Three repairs after a clean stop: one sets a file aside, one brings a table back from the backup. */
const repair: Story = {
  from: 'template',
  stage: async (instance) => {
    const running = await boot(instance);
    await customise(instance);
    await takeBackup(instance);
    await expectStopped(instance, await running.stop());
    await remove(instance, 'pg_notify', instance.places.documents);
    await scramble(instance, 'postgresql.conf');
    const broken = await sha256(join(instance.dataDir, 'postgresql.conf'));
    return async () => {
      await expectRowsAndSetting(instance, 0);
      expect(await setAsideBytes(instance, 'postgresql.conf'), 'the broken file is kept').toContain(broken);
    };
  },
};

/** Crashed and beyond repair, with a backup: restored, and rolled forward through the WAL that is still there. */
const restore: Story = {
  from: 'template',
  stage: async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    await addRows(instance, known.ledger + 1, 10);
    await crash(instance, running);
    await truncateTo(instance, 'global/pg_control', 0);
    return async () => {
      await expectAllRows(instance, 10);
      expect(await quarantined(instance)).toHaveLength(1);
    };
  },
};

/** A base backup of a running server that already has one; one is kept. */
const backup: Story = {
  from: 'template',
  stage: async (instance) => {
    const running = await boot(instance);
    await takeBackup(instance);
    await expectStopped(instance, await running.stop());
    return async () => {
      await expectAllRows(instance, 0);
      await takeBackup(instance);
      const { stdout } = await run(instance, ['maintenance', 'list-backups', '--json']);
      const { report } = JSON.parse(stdout) as { report: { backups: { state: string }[] } };
      expect(report.backups.map(({ state }) => state)).not.toContain('damaged');
      expect(await readdir(join(instance.backupDir, '.partial')).catch(() => []), 'nothing half-made is left').toEqual([]);
    };
  },
  act: async (instance, env) => {
    const running = await boot(instance);
    const killed = await run(instance, ['maintenance', 'backup'], { env: { ...env, MAX_BACKUPS: '1' } });
    await expectStopped(instance, await running.stop());
    return killed;
  },
};

/** A second backup of a running server in which two large files have changed in a few pages: it takes them over from the first. */
const takeover: Story = {
  from: 'template',
  stage: async (instance) => {
    const running = await boot(instance);
    await makeSpread(instance);
    await takeBackup(instance);
    await expectStopped(instance, await running.stop());
    return async () => {
      await expectAllRows(instance, 0);
      await expectAllWhole(instance);
      await takeBackup(instance);
      await expectAllWhole(instance);
      await expectNewestIsPlain(instance);
      expect(await readdir(join(instance.backupDir, '.partial')), 'nothing half-made is left').toEqual([]);
    };
  },
  act: async (instance, env) => {
    const running = await boot(instance);
    await updateSpread(instance, 1);
    const killed = await run(instance, ['maintenance', 'backup'], { env });
    await expectAllWhole(instance);
    await expectStopped(instance, await running.stop());
    return killed;
  },
};

/** A backup of a running server, after which four old quarantines are judged. */
const quarantine: Story = {
  ...backup,
  stage: async (instance) => {
    const verify = await backup.stage(instance);
    const root = join(instance.backupDir, 'quarantine');
    const labels = [1, 2, 3, 4].map((day) => `replaced_2020010${day}_000000`);
    for (const label of labels) await makeDirectory(join(root, label, 'base'), serverUser);
    return async () => {
      await verify();
      expect(await readdir(root), 'the newest three stay, and no half of one').toEqual(labels.slice(1));
    };
  },
};

/** Nothing is wrong. */
const plain: Story = {
  from: 'template',
  stage: async (instance) => {
    const running = await boot(instance);
    await addRows(instance, known.ledger + 1, 10);
    await expectStopped(instance, await running.stop());
    return () => expectAllRows(instance, 10);
  },
};

/** A dump of a running server, and its restore in the place of a database that has gone on since. */
const dump: Story = {
  from: 'template',
  majors: installed.filter(({ directory }) => existsSync(join(directory, 'pg_dump'))).map(({ major }) => major),
  stage: async () => async () => undefined,
  act: async (instance, env) => {
    const running = await boot(instance);
    await ask(instance, 'postgres', 'CREATE ROLE visitor LOGIN');
    const taken = await run(instance, ['backup', 'create', '--engine', 'dump', '--database', 'app'], { env });
    await ask(instance, 'postgres', 'DROP ROLE visitor'); // The restore makes it again.
    const label = (await readdir(instance.backupDir)).find((name) => /^dump_\d{8}_\d{6}$/.test(name)) ?? '';
    if (taken.signal !== null) expect(label, 'a dump that was cut off is not listed').toBe('');
    const killed = taken.signal === null ? await run(instance, ['backup', 'restore', label, '--yes'], { env }) : taken;
    await expectAllRows(instance, 0);
    if (label !== '') {
      const tested = await run(instance, ['backup', 'verify', label, '--test']);
      expect(tested, tested.stderr).toMatchObject({ code: 0 });
      const visitors = await ask(instance, 'postgres', "SELECT FROM pg_roles WHERE rolname = 'visitor'");
      expect(visitors, 'the role that the killed restore made is dropped').toEqual([]);
    }
    const again = await run(instance, ['backup', 'create', '--engine', 'dump', '--database', 'app']);
    expect(again, again.stderr).toMatchObject({ code: 0 });
    const next = (await readdir(instance.backupDir))
      .filter((name) => /^dump_\d{8}_\d{6}$/.test(name))
      .sort()
      .at(-1)!;
    const loaded = await run(instance, ['backup', 'restore', next, '--yes']);
    expect(loaded, loaded.stderr).toMatchObject({ code: 0 });
    await expectAllRows(instance, 0);
    const left = await ask<{ name: string }>(instance, 'postgres', "SELECT datname AS name FROM pg_database WHERE datname LIKE 'dbkit%'");
    expect(left, 'what the killed restore left is dropped').toEqual([]);
    await expectStopped(instance, await running.stop());
    return killed;
  },
};

/** A snapshot of a database of a running server. */
const snapshot: Story = {
  ...plain,
  act: async (instance, env) => {
    const running = await boot(instance);
    const killed = await run(instance, ['snapshot', 'save', 'one'], { env });
    await expectAllRows(instance, 10);
    const { stdout } = await run(instance, ['snapshot', 'list', '--json']);
    expect(JSON.parse(stdout), 'half a snapshot is none').toMatchObject({ report: { snapshots: [] } });
    expect(await run(instance, ['snapshot', 'save', 'one'])).toMatchObject({ code: 0 });
    const left = await ask(instance, 'postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'dbkit_restore_%'");
    expect(left, 'what the killed one left is dropped').toEqual([]);
    await expectStopped(instance, await running.stop());
    return killed;
  },
};

/** A checkout of a branch whose data is there already: two databases change their names. */
const branch: Story = {
  ...plain,
  act: async (instance, env) => {
    const running = await boot(instance);
    const { git, dbkit } = await openProject(instance);
    await git('checkout', '-q', '-b', 'next');
    expect(await dbkit(['snapshot', 'auto', 'on'])).toMatchObject({ code: 0 });
    await git('checkout', '-q', '-b', 'other'); // The hook saves the data of `next`.
    await ask(instance, 'app', 'DROP TABLE documents');
    await git('-c', 'core.hooksPath=/dev/null', 'checkout', '-q', 'next');
    const killed = await dbkit(['snapshot', 'auto', 'run'], env);
    expect(await askNumber(instance, 'app', "SELECT count(to_regclass('documents'))"), 'nothing was exchanged').toBe(0);
    expect(await dbkit(['snapshot', 'auto', 'run'])).toMatchObject({ code: 0 });
    await expectAllRows(instance, 10);
    const { stdout } = await run(instance, ['snapshot', 'list', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ report: { snapshots: [{ name: 'branch:other', of: 'app' }] } });
    await expectStopped(instance, await running.stop());
    return killed;
  },
};

/** WAL that is sent to a copy, and WAL that its retention removes there: the copy alone gives every row back. */
const copy: Story = {
  ...plain,
  act: async (instance, env) => {
    const place = join(instance.root, 'nas');
    await makeDirectory(place, serverUser, 0o700);
    const nas = { type: 'directory', path: place, wal: 'with-backups' } as const;
    const archived = { DBKIT_WAL: 'tail' };
    await configure(instance, { copies: { nas } });
    const running = await boot(instance, { env: archived });
    const dbkit = async (words: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> =>
      run(instance, words, { env: { ...archived, ...more } });
    const fine = async (...words: string[]): Promise<void> => expect(await dbkit(words)).toMatchObject({ code: 0 });
    await fine('backup', 'create');
    for (const number of [1, 2]) await ask(instance, 'app', `CREATE TABLE more${number} (i int)`, 'SELECT pg_switch_wal()');
    await ask(instance, 'app', 'CREATE TABLE last_of_all (i int)');
    await untilKept(instance);
    let killed = await dbkit(['wal', 'copy'], env);
    if (killed.signal === null) {
      await fine('backup', 'create');
      await configure(instance, { copies: { nas: { ...nas, retention: { last: 1 } } } });
      killed = await dbkit(['backup', 'cleanup', '--copy', 'nas'], env);
    }
    if (killed.signal === null) {
      await agedByDays(place, 8);
      killed = await dbkit(['backup', 'cleanup', '--copy', 'nas'], env);
    }
    await fine('wal', 'copy');
    await fine('backup', 'cleanup', '--copy', 'nas');
    await fine('backup', 'verify', '--copy', 'nas');
    await expectStopped(instance, await running.stop());
    for (const dir of [instance.dataDir, instance.backupDir, instance.stateDir]) await rm(dir, { recursive: true });
    await makeDirectory(instance.dataDir, serverUser, 0o700);
    await mkdir(instance.backupDir);
    await fine('backup', 'restore', '--from', 'nas', '--to', 'latest', '--yes');
    const back = await boot(instance);
    await expectAllRows(instance, 10);
    expect(await askNumber(instance, 'app', "SELECT count(to_regclass('last_of_all'))"), 'the last WAL that was sent').toBe(1);
    await ask(instance, 'app', 'DROP TABLE more1, more2, last_of_all');
    await expectStopped(instance, await back.stop());
    return killed;
  },
};

/** What the copy's retention let go, as if it had been so long ago. */
async function agedByDays(place: string, days: number): Promise<void> {
  for (const name of await readdir(place, { recursive: true })) {
    if (!/expired\/[^/]+\.json$/.test(name)) continue;
    const marker = JSON.parse(await readFile(join(place, name), 'utf8')) as { expiredAt: string };
    const expiredAt = new Date(Date.parse(marker.expiredAt) - days * 86_400_000).toISOString();
    await writeFile(join(place, name), JSON.stringify({ ...marker, expiredAt }));
  }
}

/** An upgrade by a dump, killed while the old data is in its place: it goes on with the old programs. */
const upgrade: Story = {
  from: 'template',
  majors: oldMajors,
  stage: async (instance) => async () => {
    await expectAllRows(instance, 0);
    expect(existsSync(join(instance.dataDir, '.dbkit/staged')), 'the new cluster was not whole, and is gone').toBe(false);
  },
  act: async (instance, env) => run(instance, upgradeWords(instance), { env: { ...upgradeEnvironment(), ...env } }),
};

/** By the verb that their steps begin with (src/kernel/steps.ts). */
export const stories: Readonly<
  Record<
    | 'initialize'
    | 'replace'
    | 'repair'
    | 'restore'
    | 'backup'
    | 'takeover'
    | 'expire'
    | 'quarantine'
    | 'dump'
    | 'snapshot'
    | 'branch'
    | 'copy'
    | 'upgrade'
    | 'server',
    Story
  >
> = {
  initialize,
  replace,
  repair,
  restore,
  backup,
  takeover,
  expire: backup,
  quarantine,
  dump,
  snapshot,
  branch,
  copy,
  upgrade,
  server: plain,
};

/** What every kill leaves to the boot that follows, and what that boot may leave behind: nothing. */
export async function expectRightAfterKill(instance: Instance, verify: () => Promise<void>): Promise<void> {
  const running = await boot(instance);
  await verify();
  await ask(instance, 'app', 'CREATE TABLE after_the_kill (i int)');
  await expectStopped(instance, await running.stop());
  expect(existsSync(join(instance.dataDir, '.dbkit/journal.json')), 'the journal is done').toBe(false);
  expect(existsSync(join(instance.dataDir, '.dbkit/incoming')), 'nothing half-made is left').toBe(false);
  const { findings, clean } = await inspect(instance);
  expect({ findings, clean }).toEqual({ findings: [], clean: true });
}

async function setAsideBytes({ dataDir }: Instance, path: string): Promise<string[]> {
  const root = join(dataDir, '.dbkit', 'set-aside');
  const found = (await readdir(root).catch(() => [])).map((label) => join(root, label, path)).filter((file) => existsSync(file));
  return Promise.all(found.map(sha256));
}
