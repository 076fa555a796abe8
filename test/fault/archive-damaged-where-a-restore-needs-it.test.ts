import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { serverUser } from '../harness/as-user.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { crash, remove } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { ownedBy } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { archiveOf, untilKept } from '../wal/kept.ts';
import { scenario } from './disaster.ts';

const ADDED = 50;
const ROUNDS = 4;
const options = { env: { DBKIT_WAL: 'tail' } };

/** A backup, and after it rows in four segments, all of them kept; then everything is killed. */
async function fill(instance: Instance): Promise<string> {
  const first = await boot(instance, options);
  expect((await run(instance, ['backup', 'create'], options)).code).toBe(0);
  for (let round = 0; round < ROUNDS; round += 1) {
    await addRows(instance, known.ledger + 1 + round * ADDED, ADDED);
    await ask(instance, 'postgres', 'SELECT pg_switch_wal()');
  }
  await untilKept(instance);
  await crash(instance, first);
  return (await archiveOf(instance)).dir;
}

for (const [what, strike] of [
  [
    'a file stands where the archive was',
    async (_instance: Instance, dir: string) => {
      await rm(dir, { recursive: true });
      await writeFile(dir, '');
      await ownedBy(dir, serverUser);
    },
  ],
  [
    'a file stands where the archive’s timeline was',
    async (_instance: Instance, dir: string) => {
      await rm(join(dir, '00000001'), { recursive: true });
      await writeFile(join(dir, '00000001'), '');
    },
  ],
  ['the archive’s record is garbled', (_instance: Instance, dir: string) => writeFile(join(dir, 'archive.json'), 'garbled')],
] as const)
  scenario(
    {
      name: `a table’s file is gone after a crash, and ${what}: the backup and the server’s own WAL bring back every row`,
      section: 'C',
      detectedBefore: true,
      healedBy: 'restore',
      rowsLost: 'none; that the archive may have held more is told',
      from: 'template',
    },
    async (instance) => {
      const dir = await fill(instance);
      await remove(instance, instance.places.ledger);
      await strike(instance, dir);
      const second = await boot(instance, options);
      expect(second.words()).toMatch(/a part of the WAL archive is passed over/);
      await expectAllRows(instance, ROUNDS * ADDED);
      expect(await readRecovery(instance), second.words()).toMatchObject({ losses: [{ kind: 'window' }] });
      await second.stop();
    },
  );

scenario(
  {
    name: 'the server’s WAL is gone with a table’s file, and a segment of the archive is damaged: what leads up to it is brought back, and the rest is told',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'those behind the damaged segment',
    from: 'template',
  },
  async (instance) => {
    await fill(instance);
    const [timeline] = await (await archiveOf(instance)).timelines(new AbortController().signal);
    const whole = timeline!.segments.filter(({ kind }) => kind === 'whole');
    await writeFile(whole.at(-2)!.path, 'garbled');
    await remove(instance, instance.places.ledger, 'pg_wal');
    const second = await boot(instance, options);
    await ask(instance, 'app', 'ALTER DATABASE app SET enable_indexonlyscan = off'); // The rows themselves, and not their index.
    const rows = await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE amount IS NOT NULL');
    expect(rows, second.words()).toBeGreaterThan(known.ledger);
    expect(rows).toBeLessThan(known.ledger + ROUNDS * ADDED);
    expect(second.words()).toMatch(/a part of the WAL archive is passed over: .* is damaged/);
    expect((await readRecovery(instance))?.losses).toMatchObject([{ kind: 'window' }]);
    await second.stop();
  },
);
