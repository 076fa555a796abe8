import { existsSync } from 'node:fs';
import { chown, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { HistoryReport } from '../../src/recovery/list-history.ts';
import type { RecoveryReport } from '../../src/recovery/report.ts';
import { account, isRoot, serverUser } from '../harness/as-user.ts';
import { crash, overwritePage, remove } from '../harness/breaking.ts';
import { boot, run } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';
import { isLongTier, nightly } from '../harness/tier.ts';

const [programs] = installed;

async function reportOf<T>(instance: Instance, ...words: string[]): Promise<T> {
  const { stdout } = await run(instance, [...words, '--json']);
  return (JSON.parse(stdout) as { report: T }).report;
}
const history = async (instance: Instance): Promise<HistoryReport['recoveries']> =>
  (await reportOf<HistoryReport>(instance, 'recover', 'history')).recoveries;

test('every recovery leaves a report: what was seen and done, who asked, what was lost, how long it took', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  expect(await history(instance)).toEqual([]);
  expect((await run(instance, ['recover', 'history'])).stdout).toContain('nothing had to be recovered here yet');

  await (await boot(instance)).stop();
  expect(await history(instance), 'a plain start is no recovery').toEqual([]);

  await remove(instance, 'pg_notify');
  await (await boot(instance)).stop();
  await remove(instance, 'pg_hba.conf');
  expect(await run(instance, ['recover', '--yes'])).toMatchObject({ code: 0 });
  await crash(instance, await boot(instance));
  await (await boot(instance)).stop();

  const reports = await history(instance);
  expect(reports.map(({ number, decision, trigger }) => ({ number, decision, trigger }))).toEqual([
    { number: 1, decision: 'start', trigger: 'start' },
    { number: 2, decision: 'repair', trigger: 'person' },
    { number: 3, decision: 'repair', trigger: 'start' },
  ]);
  expect(reports[0]!.findings.map(({ code }) => code)).toEqual(['shutdown.unclean']);
  expect(Date.parse(reports[0]!.readyAt!), 'the server answered after it').toBeGreaterThanOrEqual(Date.parse(reports[0]!.at));
  expect(reports[1]!.readyAt, 'nobody started the server then').toBeUndefined();

  expect(await reportOf<RecoveryReport>(instance, 'recover', 'show', '3')).toMatchObject({
    findings: [{ code: 'directory.missing', path: 'pg_notify' }],
    lost: 'nothing',
  });
  const shown = (await run(instance, ['recover', 'show', '3'])).stdout;
  expect(shown).toMatch(/until it answered \(RTO\) +\S+/);
  expect(shown).toMatch(/lost \(RPO\) +nothing/);
  expect(shown).toContain('pg_notify');
  expect(await run(instance, ['recover', 'show', '9'])).toMatchObject({ code: 2 });
  await configure(instance, { tier: 'standard' });
  expect((await run(instance, ['recover', 'report', '--incident', '3'])).stdout).toMatch(/^# Recovery 3: repair\n[\s\S]*pg_notify/);
  expect(await reportOf(instance, 'recover', 'report', '--incident', '1')).toMatchObject({
    number: 1,
    tier: 'standard',
    rto: { targetSeconds: 1800, met: true },
    rpo: { seconds: 0, targetSeconds: 900, met: true },
  });
});

nightly('a report that was torn is set aside, and the others are still told', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  for (const lost of ['pg_notify', 'pg_replslot']) {
    await remove(instance, lost);
    await (await boot(instance)).stop();
  }
  const [newest] = await history(instance);
  await writeFile(join(instance.stateDir, 'recoveries', `${newest!.at.replaceAll(':', '-')}.json`), '{"at": "2026');
  expect((await history(instance)).map(({ findings }) => findings[0]?.path)).toEqual(['pg_notify']);
});

nightly('what is no report is passed over, also by whoever may not set it aside', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await (await boot(instance)).stop();
  await remove(instance, 'pg_notify');
  await (await boot(instance)).stop();
  const reports = join(instance.stateDir, 'recoveries');
  await mkdir(join(reports, '2026-01-01T00-00-00.000Z.json'));
  await writeFile(join(reports, '2026-01-02T00-00-00.000Z.json'), '{');
  if (isRoot) {
    const other = account('nobody')!;
    const asked = await run(instance, ['recover', 'history'], { as: { uid: other.uid, gid: other.gid } });
    expect(asked, asked.stderr).toMatchObject({ code: 0 });
    expect(asked.stdout).toContain('repair');
    expect(asked.stderr).not.toContain('was set aside');
  }
  expect((await history(instance)).map(({ decision }) => decision)).toEqual(['repair']);
  await (await boot(instance)).stop();
});

const amcheckStep = ({ steps }: RecoveryReport) => steps.find(({ step }) => step === 'amcheck');
const askForAmcheck = (instance: Instance) =>
  configure(instance, { recovery: { amcheck: true }, monitor: { maxFailures: 1, cooldownSeconds: 0 }, health: { timeoutSeconds: 1 } });

test.skipIf(!isLongTier || !existsSync(join(programs!.directory, 'pg_amcheck')))(
  'pg_amcheck looks after a recovery where it is asked to, and its complaints are in the report',
  async () => {
    const instance = await openInstance({ programs: programs!, from: 'template' });
    await askForAmcheck(instance);
    const running = await boot(instance);
    await remove(instance, 'pg_twophase');
    const repaired = await reportOf<RecoveryReport>(instance, 'recover', '--yes');
    expect(amcheckStep(repaired)).toMatchObject({
      step: 'amcheck',
      because: 'pg_amcheck finds every table and index consistent',
      done: true,
    });
    expect(amcheckStep((await history(instance))[0]!)?.done).toBe(true);
    await crash(instance, running);
    await overwritePage(instance, instance.places.archiveLedger, 1);
    const { recovery } = await reportOf<{ recovery: { ok: boolean; report: RecoveryReport } }>(instance, 'monitor', '--once');
    expect(recovery.ok).toBe(true);
    expect(amcheckStep(recovery.report)).toMatchObject({ because: expect.stringMatching(/^pg_amcheck complains: .*ledger/), done: true });
    await run(instance, ['down', '--for', '1s']);
  },
);

nightly('where there is no pg_amcheck the recovery stands, and the report says so', async () => {
  const embedded = installed.find(({ directory }) => !existsSync(join(directory, 'pg_amcheck')));
  if (!embedded) return;
  const instance = await openInstance({ programs: embedded, from: 'template' });
  await askForAmcheck(instance);
  const running = await boot(instance);
  await remove(instance, 'pg_twophase');
  const repaired = await reportOf<RecoveryReport>(instance, 'recover', '--yes');
  expect(amcheckStep(repaired)).toMatchObject({ because: expect.stringMatching(/could not look: there is no pg_amcheck in/), done: false });
  expect((await running.stop()).code).toBe(0);
});

nightly('a report that cannot be written keeps no server down', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await (await boot(instance)).stop();
  await writeFile(join(instance.stateDir, 'recoveries'), 'in the way of the folder');
  await remove(instance, 'pg_notify');
  const running = await boot(instance);
  await expectAllRows(instance, 0);
  expect(running.words()).toMatch(/the report of this recovery cannot be kept/);
  expect((await running.stop()).code).toBe(0);
});

test('what root recovers, the server’s user can still report', async () => {
  if (!isRoot) return;
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await (await boot(instance)).stop();
  await remove(instance, 'pg_notify');
  const { uid, gid } = serverUser;
  await chown(instance.stateDir, uid, gid);
  expect(await run(instance, ['recover', '--yes'])).toMatchObject({ code: 0 });
  const reports = join(instance.stateDir, 'recoveries');
  for (const path of [reports, join(reports, (await readdir(reports))[0]!)]) expect((await stat(path)).uid, path).toBe(uid);
});
