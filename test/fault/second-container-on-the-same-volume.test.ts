import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { expect } from 'vitest';
import { boot, run } from '../harness/dbkit.ts';
import { beside } from '../harness/instance.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

/** Namespaces of its own: it sees neither the first one's processes nor its port, only the volume, as another container would. */
const container = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--net', '--ipc', '--uts'];

scenario(
  {
    name: 'a second container runs on the same volume',
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none',
    needs: () => (spawnSync(container[0]!, [...container.slice(1), 'true']).status === 0 ? undefined : 'namespaces cannot be made here'),
    from: 'template',
  },
  async (instance) => {
    const first = await boot(instance);
    const refused = await run(await beside(instance, 'second'), ['entrypoint'], { through: container });
    expect(refused, refused.stderr).toMatchObject({ code: 75 });
    expect(refused.stderr, 'the holder is named').toContain(hostname());
    await expectAllRows(instance, 0);
    await expectStopped(instance, await first.stop());
  },
);
