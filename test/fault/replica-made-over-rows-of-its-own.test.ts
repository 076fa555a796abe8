import { appendFileSync, existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startBare } from '../harness/bare-server.ts';
import { boot, run } from '../harness/dbkit.ts';
import { copyTree } from '../harness/files.ts';
import { beside, type Instance } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const OWN_ROWS = 10;

/** A member that was cut off: its data has rows that the leader, a copy from before, has never seen. Resolves with the running leader. */
async function stage(instance: Instance): Promise<{ readonly leader: Instance; stop(): Promise<void> }> {
  const first = await boot(instance);
  await takeBackup(instance);
  await expectStopped(instance, await first.stop());
  const leader = await beside(instance, 'leader');
  const leaderData = join(instance.root, 'leader-data');
  await copyTree(instance.dataDir, leaderData);
  const again = await boot(instance);
  await addRows(instance, known.ledger + 1, OWN_ROWS);
  await expectStopped(instance, await again.stop());
  const { stop } = await startBare(instance.programs, leaderData, leader);
  return { leader, stop };
}

const conninfo = ({ socketDir, port }: Instance): string => `host=${socketDir} port=${port} user=postgres dbname=postgres`;
const createReplica = (instance: Instance, leader: Instance, failAt?: string) =>
  run(instance, ['ha', 'create-replica', '--role=replica', `--datadir=${instance.dataDir}`, `--connstring=${conninfo(leader)}`], {
    env: { DBKIT_FAIL_AT: failAt },
  });
const quarantines = ({ backupDir }: Instance): readonly string[] =>
  readdirSync(join(backupDir, 'quarantine'))
    .sort((a, b) => a.slice(-15).localeCompare(b.slice(-15)))
    .map((name) => join(backupDir, 'quarantine', name));

/** The leader’s rows are in the replica, and those that only the member had are in what was set aside. */
async function expectBoth(instance: Instance, leader: Instance, aside: string): Promise<void> {
  writeFileSync(join(instance.dataDir, 'standby.signal'), ''); // Patroni writes these.
  appendFileSync(join(instance.dataDir, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo(leader)}'\n`);
  const replica = await startBare(instance.programs, instance.dataDir, instance);
  expect(replica.up, replica.words()).toBe(true);
  await expectAllRows(instance, 0);
  await replica.stop();
  const old = await startBare(instance.programs, aside, instance);
  expect(old.up, old.words()).toBe(true);
  await expectAllRows(instance, OWN_ROWS);
  await old.stop();
}

const class_ = (name: string, longTier = false) =>
  ({
    name,
    section: 'C',
    detectedBefore: false,
    healedBy: 'restore',
    rowsLost: 'none: they are set aside',
    from: 'template',
    longTier,
  }) as const;

scenario(class_('a replica is made from a backup over data with rows that no other member has'), async (instance) => {
  const { leader, stop } = await stage(instance);
  const made = await createReplica(instance, leader);
  expect(made, made.stderr).toMatchObject({ code: 0 });
  expect(existsSync(join(instance.dataDir, 'recovery.signal'))).toBe(false);
  const [aside, ...others] = quarantines(instance);
  expect(others).toEqual([]);
  await expectBoth(instance, leader, aside!);
  await stop();
});

scenario(class_('no backup fits a replica: the data is set aside before Patroni’s next method could remove it', true), async (instance) => {
  const { leader, stop } = await stage(instance);
  for (const name of readdirSync(instance.backupDir).filter((one) => one.startsWith('data_')))
    renameSync(join(instance.backupDir, name), join(instance.root, name));
  const refused = await createReplica(instance, leader);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('there is none');
  expect(readdirSync(instance.dataDir)).toEqual([]);
  const old = await startBare(instance.programs, quarantines(instance)[0]!, instance);
  await expectAllRows(instance, OWN_ROWS);
  await old.stop();
  await stop();
});

scenario(class_('nobody leads, and a replica is asked for over data: it is left alone', true), async (instance) => {
  const { stop } = await stage(instance);
  const refused = await run(instance, ['ha', 'create-replica', `--datadir=${instance.dataDir}`]);
  expect(refused).toMatchObject({ code: 77, stderr: expect.stringContaining('it may be all that is left') });
  await stop();
  const running = await boot(instance);
  await expectAllRows(instance, OWN_ROWS);
  await expectStopped(instance, await running.stop());
});

for (const step of ['replace.entry-set-aside:2', 'restore.files-copied:1'])
  scenario(class_(`dbkit was killed at \`${step}\` of \`ha create-replica\``, true), async (instance) => {
    const { leader, stop } = await stage(instance);
    expect(await createReplica(instance, leader, step)).toMatchObject({ signal: 'SIGKILL' });
    const made = await createReplica(instance, leader);
    expect(made, made.stderr).toMatchObject({ code: 0 });
    const [aside, second] = quarantines(instance);
    if (step.startsWith('replace')) for (const name of readdirSync(second!)) renameSync(join(second!, name), join(aside!, name)); // Two parts of one.
    await expectBoth(instance, leader, aside!);
    await stop();
  });
