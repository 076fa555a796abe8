import { expect } from 'vitest';
import { type Step, steps } from '../../src/kernel/steps.ts';
import { boot, run } from '../harness/dbkit.ts';
import { scenario } from './disaster.ts';
import { expectRightAfterKill, type Story, stories } from './kill-stories.ts';

/** Steps that are reached once for each entry of a data directory, and at which of them to strike. */
const repeated: Partial<Record<Step, readonly number[]>> = { 'replace.entry-set-aside': [1, 2, 9], 'replace.entry-published': [1, 2, 9] };
const storyOf = (step: Step) => stories[step.split('.')[0] as keyof typeof stories];

type Act = NonNullable<Story['act']>;
const bootOnly: Act = (instance, env) => run(instance, ['entrypoint'], { env });
const bootAndStop: Act = async (instance, env) => (await boot(instance, { env })).stop();

/** The daily tier strikes where data is on its way from one place to another. */
const daily: readonly Step[] = ['initialize.published', 'repair.set-aside', 'replace.entry-published', 'dump.swapping'];

for (const step of steps) {
  for (const time of repeated[step] ?? [1]) {
    scenario(
      {
        longTier: !daily.includes(step) || time > 1,
        name: `dbkit was killed at \`${step}\`${time > 1 ? `, the ${time}th time` : ''}`,
        section: 'A',
        detectedBefore: true,
        healedBy: 'start',
        rowsLost: 'none',
        from: storyOf(step).from,
        ...(storyOf(step).majors ? { majors: storyOf(step).majors } : {}),
      },
      async (instance) => {
        const story = storyOf(step);
        const verify = await story.stage(instance);
        const act = story.act ?? (step === 'server.stopped' ? bootAndStop : bootOnly);
        const killed = await act(instance, { DBKIT_FAIL_AT: `${step}:${time}` });
        expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
        await expectRightAfterKill(instance, verify);
      },
    );
  }
}
