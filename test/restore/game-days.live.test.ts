import { chown, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { GameDay } from '../../src/restore/game-days/contract.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, type Running, run } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { until } from '../harness/processes.ts';
import { nightly } from '../harness/tier.ts';

const [programs] = installed;
const env = { DBKIT_WAL: 'tail' };

/** A running server whose WAL is kept, with rows from before and after its only backup. */
async function servedAndKept(settings: object = {}): Promise<{ instance: Instance; running: Running }> {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  await configure(instance, { tier: 'standard', postgresql: { settings: { autovacuum: 'off' } }, ...settings }); // It would write meanwhile.
  const running = await boot(instance, { env });
  await ask(instance, 'app', 'CREATE TABLE lost (id int PRIMARY KEY)', 'INSERT INTO lost SELECT generate_series(1, 1000)');
  const made = await run(instance, ['backup', 'create'], { env });
  expect(made, made.stderr).toMatchObject({ code: 0 });
  await ask(instance, 'app', 'INSERT INTO lost SELECT generate_series(1001, 2000)', 'CREATE TABLE later (id int)');
  await until(
    async () => JSON.parse((await run(instance, ['wal', 'status', '--json'], { env })).stdout).report?.lag?.bytes === 0,
    () => `the WAL is not kept:\n${running.words()}`,
  );
  return { instance, running };
}

async function drilled(instance: Instance, ...words: string[]): Promise<GameDay> {
  const { stdout, stderr } = await run(instance, ['drill', ...words, '--json'], { env });
  const { report, failure } = JSON.parse(stdout) as { report?: GameDay; failure?: { message: string } };
  expect(failure, stderr).toBeUndefined();
  return report!;
}

const outcomes = ({ checks }: GameDay): string[] =>
  checks.map(({ name, outcome, because }) => `${name}: ${outcome}${because ? ` (${because})` : ''}`);

test('total loss: what the repository alone gives back has every row, and the evidence is kept', async () => {
  const { instance, running } = await servedAndKept();
  const day = await drilled(instance, 'total-loss');
  expect(outcomes(day)).toEqual([
    'databases answer: passed',
    'every row can be read: passed',
    'rows are those of the running server: passed',
  ]);
  expect(day).toMatchObject({ ok: true, source: 'repository', lostTransactions: 0, rpo: { seconds: 0, met: true }, rto: { met: true } });
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM lost'), 'the instance is not touched').toBe(2000);
  const { stdout } = await run(instance, ['drill', 'history'], { env });
  expect(stdout).toMatch(/total-loss +passed/);
  const status = JSON.parse((await run(instance, ['status', '--json'], { env })).stdout).report;
  expect(status.tier.rto, 'what was rehearsed is what status shows').toMatchObject({ met: true });
  expect((await readdir(join(instance.backupDir, '.partial'))).filter((name) => name.startsWith('scratch_'))).toEqual([]);
  await running.stop();
});

nightly('the other disasters: damage is found, a dropped table and a copy elsewhere give every row back', async () => {
  const { instance, running } = await servedAndKept();
  const damaged = await drilled(instance, 'corruption');
  expect(outcomes(damaged)).toContain('the damage is found: passed');
  expect(damaged).toMatchObject({ ok: true, lostTransactions: 0 });
  const dropped = await drilled(instance, 'table-loss');
  expect(outcomes(dropped)).toEqual(['databases answer: passed', 'the dropped table comes back: passed', 'it has every row: passed']);
  expect(await run(instance, ['drill', 'remote-region'], { env }), 'nowhere to come back from').toMatchObject({ code: 2 });
  const away = join(instance.root, 'away');
  await mkdir(away, { mode: 0o700 });
  const { uid, gid } = await stat(instance.dataDir);
  await chown(away, uid, gid);
  await configure(instance, { tier: 'standard', copies: { away: { type: 'directory', path: away } } });
  expect(await run(instance, ['backup', 'copy', 'latest'], { env })).toMatchObject({ code: 0 });
  const remote = await drilled(instance, 'remote-region');
  expect(remote).toMatchObject({ ok: true, source: 'away', lostTransactions: 0, rpo: { seconds: 0 } });
  await ask(instance, 'app', 'INSERT INTO lost SELECT generate_series(2001, 2100)');
  const late = await drilled(instance, 'remote-region');
  expect(late.lostTransactions, 'what was written since is not there').toBeGreaterThan(0);
  expect(outcomes(late).at(-1)).toMatch(/skipped \(the running server has been written to since\)/);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM lost')).toBe(2100);
  await running.stop();
});
