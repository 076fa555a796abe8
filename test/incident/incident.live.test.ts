import { expect, test } from 'vitest';
import type { RunbookList, RunbookReport } from '../../src/incident/open-runbook.ts';
import type { StoryReport } from '../../src/incident/report-incident.ts';
import { remove } from '../harness/breaking.ts';
import { run } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

async function reportOf<T>(instance: Instance, ...words: string[]): Promise<T> {
  const { stdout, stderr } = await run(instance, [...words, '--json']);
  const { report } = JSON.parse(stdout) as { report?: T };
  if (report === undefined) throw new Error(`${words.join(' ')} reports nothing: ${stdout}${stderr}`);
  return report;
}

test('with the server down and its data damaged the runbook knows both, and the report afterwards has the recovery', async () => {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  await remove(instance, 'global/pg_control');
  const { runbooks } = await reportOf<RunbookList>(instance, 'runbook');
  expect(runbooks.find(({ name }) => name === 'database-corrupt')).toMatchObject({ fits: true });
  const report = await reportOf<RunbookReport>(instance, 'runbook', 'database-corrupt');
  expect(report).toMatchObject({ fits: true, began: { from: 'opened' }, impact: { id: 'impact-server-down' } });
  const steps = report.phases.flatMap((phase) => phase.steps);
  expect(steps.find(({ id }) => id === 'corrupt-facts')!.words).toContain('pg_control');
  expect(steps.map(({ id }) => id)).toEqual(expect.arrayContaining(['corrupt-held', 'corrupt-no-backup', 'corrupt-recover']));
  expect(await run(instance, ['runbook', 'primary-down'])).toMatchObject({ code: 78, stderr: expect.stringContaining('is for a cluster') });

  expect(await run(instance, ['report', 'incident'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no incident is remembered'),
  });
  await run(instance, ['recover', '--strategy', 'reinitialize', '--yes']);
  const story = await reportOf<StoryReport>(instance, 'report', 'incident');
  expect(story).toMatchObject({ number: 1, impact: { recoveries: 1 } });
  expect(story.timeline[0]).toMatchObject({ source: 'recovery' });
  expect(story.prevent.map(({ id }) => id)).toEqual(
    expect.arrayContaining(['prevent-nobody-watches', 'prevent-nobody-is-told', 'prevent-no-target']),
  );
});
