import { expect } from 'vitest';
import { run } from '../harness/dbkit.ts';
import { listenOn } from '../harness/ports.ts';
import { scenario } from './disaster.ts';

scenario(
  {
    name: 'the port is in use, and --strict says not to hold',
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none',
    from: 'template',
  },
  async (instance) => {
    const holder = await listenOn(instance.port);
    instance.beforeRemoval(async () => void holder.close());
    const refused = await run(instance, ['entrypoint', '--strict'], { env: { CI: undefined } });
    expect(refused, refused.stderr).toMatchObject({ code: 75 });
  },
);
