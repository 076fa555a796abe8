import { expect, test } from 'vitest';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

interface Document {
  readonly report: { readonly complaints: readonly { readonly id: string; readonly severity: string; readonly next: string | null }[] };
}

test('the doctor says what would fail tonight, who mends it, and ends with 1 only where something is critical', async () => {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  const ask = async () => {
    const { code, stdout } = await run(instance, ['doctor', '--json']);
    const { complaints } = (JSON.parse(stdout) as Document).report;
    return { code, ids: complaints.map(({ id }) => id), complaints };
  };
  const running = await boot(instance);
  const first = await ask();
  expect(first).toMatchObject({ code: 0, ids: expect.arrayContaining(['tonight-nobody-is-told', 'tonight-wal-not-kept', 'health']) });
  expect(first.ids).not.toContain('tonight-all-on-one-disk');
  expect(first.complaints.every(({ next }) => next !== null)).toBe(true);

  expect((await run(instance, ['backup', 'create'])).code).toBe(0);
  expect((await ask()).ids).toEqual(expect.arrayContaining(['tonight-all-on-one-disk', 'tonight-never-restored']));
  const text = await run(instance, ['doctor']);
  expect(text.stdout).toMatch(/warning +data and backups are on the same disk/);
  expect(text.stdout).toMatch(/HINT: \d+: add one: `dbkit alert setup`/);

  await running.stop();
  expect(await ask()).toMatchObject({ code: 1, ids: expect.arrayContaining(['tonight-nobody-restarts']) });
});
