import { expect } from 'vitest';
import { account } from '../harness/as-user.ts';
import { boot, run } from '../harness/dbkit.ts';
import { makeDirectory, treeOf } from '../harness/files.ts';
import { beside } from '../harness/instance.ts';
import { needsReachableProgram, needsRoot } from '../harness/permissions.ts';
import { expectAllRows } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'dbkit runs as a user who neither owns the data nor may change that',
    section: 'A',
    detectedBefore: true,
    healedBy: 'refusal',
    rowsLost: 'none',
    needs: () => needsRoot() ?? (account('nobody') ? undefined : 'there is no user nobody') ?? needsReachableProgram(),
    from: 'template',
  },
  async (instance) => {
    const nobody = account('nobody')!;
    const other = await beside(instance, 'nobody');
    await makeDirectory(other.stateDir, nobody);
    const before = await treeOf(instance.dataDir);
    const refused = await run(other, ['entrypoint'], { as: nobody });
    expect(refused, refused.stderr).toMatchObject({ code: 77 });
    expect(refused.stderr, 'the command that would help').toMatch(/chown|install/);
    expect(await treeOf(instance.dataDir)).toEqual(before);

    const running = await boot(instance);
    await expectAllRows(instance, 0);
    await expectStopped(instance, await running.stop());
  },
);
