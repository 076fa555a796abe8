import { expect, test } from 'vitest';
import type { AdoptReport } from '../../src/homes/adopt/adopt.ts';
import { boot, run } from '../harness/dbkit.ts';
import { treeOf } from '../harness/files.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { expectAllRows } from '../harness/rows.ts';

const [programs] = installed;

test('data that dbkit has not made is adopted as it is: nothing is changed, and there is a backup of it', async () => {
  const instance = await openInstance({ programs: programs!, from: 'template' });
  const before = await treeOf(instance.dataDir);
  const adopted = await run(instance, ['adopt', instance.root, '--json'], { env: { PGDATA: '/nowhere' } });
  expect(adopted, adopted.stderr).toMatchObject({ code: 0 });
  const { report } = JSON.parse(adopted.stdout) as { report: AdoptReport };
  expect(report).toMatchObject({
    dataDir: instance.dataDir,
    major: programs!.major,
    isShutDown: true,
    serverRuns: false,
    findings: [],
    backup: expect.stringMatching(/^data_/),
    settings: { PGDATA: instance.dataDir },
  });
  expect(await treeOf(instance.dataDir), 'nothing in it is changed').toEqual(before);
  const running = await boot(instance);
  await expectAllRows(instance, 0);
  await running.stop();
});
