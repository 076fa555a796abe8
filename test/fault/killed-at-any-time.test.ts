import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../harness/dbkit.ts';
import { killAllIn } from '../harness/processes.ts';
import { everywhere } from '../harness/tier.ts';
import { scenario } from './disaster.ts';
import { expectRightAfterKill, stories } from './kill-stories.ts';
import { random } from './random.ts';

const SEEDS = everywhere ? 12 : 2;
const WINDOW_MS = 900; // A boot that initialises takes about as long.

const boots = (['initialize', 'replace', 'repair', 'restore', 'server'] as const).map((name) => [name, stories[name]] as const);
for (const [index, [name, story]] of boots.entries()) {
  scenario(
    {
      name: `the container was killed at any time of a boot (${name})`,
      section: 'A',
      detectedBefore: true,
      healedBy: 'start',
      rowsLost: 'none',
      from: story.from,
    },
    async (instance) => {
      const verify = await story.stage(instance);
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const running = start(instance, ['entrypoint']);
        await sleep(random(seed * 10 + index) * WINDOW_MS);
        if (seed % 2 === 0)
          await running.stop('SIGKILL'); // dbkit alone: its server lives on.
        else await killAllIn(instance.root); // Everything, as the container's end does it.
        await running.ended;
      }
      await expectRightAfterKill(instance, verify);
    },
  );
}
