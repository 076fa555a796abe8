import { boot, run } from '../harness/dbkit.ts';
import { treeOf } from '../harness/files.ts';
import { configure, openInstance } from '../harness/instance.ts';
import type { Programs } from '../harness/majors.ts';
import { everywhere } from '../harness/tier.ts';
import type { Disaster } from './declaration.ts';
import { leave } from './leave.ts';
import { expectPostgresSays } from './postgres-says.ts';
import {
  expectInspection,
  expectNextBootPlain,
  expectOldBytes,
  expectRefused,
  expectReport,
  expectRows,
  expectStopped,
  photograph,
  runtime,
} from './verdict.ts';

/** One disaster from beginning to end on one major. */
export async function happen(disaster: Disaster, programs: Programs): Promise<void> {
  const instance = await openInstance({ programs, from: disaster.left === 'empty' ? 'empty' : 'template' });
  await configure(instance, disaster.config ?? {});
  const added = await leave(instance, disaster);
  await disaster.break(instance);
  const before = await photograph(instance, disaster);
  const env = disaster.env?.(instance) ?? {};
  if (everywhere) await expectPostgresSays(instance, disaster);
  await expectInspection(instance, disaster, env);

  if (disaster.expect.exit !== undefined) {
    expectRefused(disaster, await run(instance, ['entrypoint'], { env }), before.tree, await treeOf(instance.dataDir, runtime));
    if (disaster.mend === undefined) return;
    await disaster.mend(instance);
    await expectNextBootPlain(instance, { ...disaster, expect: {} }, added);
    return;
  }

  const running = await boot(instance, { env });
  await expectRows(instance, disaster, added);
  await expectReport(instance, disaster, running.words());
  await expectOldBytes(instance, disaster, before, running.words());
  await expectStopped(instance, await running.stop());
  await expectNextBootPlain(instance, disaster, added);
}
