import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { zeroPage } from '../harness/breaking.ts';
import { readControl } from '../harness/control-file.ts';
import { boot, inspect, readRecovery, run } from '../harness/dbkit.ts';
import { addRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';

const ADDED = 50;

scenario(
  {
    name: 'a page of a table was zeroed, and of the WAL since the backup only the archive has all: the page is held against both, and all is rolled forward',
    section: 'C',
    detectedBefore: true,
    healedBy: 'restore',
    rowsLost: 'none but those of unlogged tables, which is told: the archive holds the WAL since the backup',
    from: 'template',
  },
  async (instance) => {
    const options = { env: { DBKIT_WAL: 'tail' } };
    const first = await boot(instance, options);
    expect((await run(instance, ['backup', 'create'], options)).code).toBe(0);
    for (let round = 0; round < 3; round += 1) {
      await addRows(instance, known.ledger + 1 + round * ADDED, ADDED);
      await ask(instance, 'postgres', 'SELECT pg_switch_wal()', 'CHECKPOINT');
    }
    await first.stop();
    const wal = join(instance.dataDir, 'pg_wal');
    const segments = (await readdir(wal)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
    const { checkpointSegment } = await readControl(instance.dataDir);
    for (const name of segments.filter((one) => one < checkpointSegment)) await rm(join(wal, name));
    await zeroPage(instance, instance.places.ledger, 3);

    const { findings } = await inspect(instance, [], options);
    expect(findings).toContainEqual(
      expect.objectContaining({
        code: 'relation.changed',
        evidence: expect.stringMatching(/^.*1 of \d+ pages is lost: page 3 holds zeroes.*held against data_/),
      }),
    );
    const verified = await run(instance, ['backup', 'verify', 'latest', '--against-data'], options);
    expect(verified, verified.stderr).toMatchObject({ code: 65, stdout: expect.stringMatching(/^ok .*[\s\S]*1 of \d+ pages is lost/) });
    const second = await boot(instance, options);
    await ask(instance, 'app', 'ALTER DATABASE app SET enable_indexonlyscan = off'); // The rows themselves, and not their index.
    expect(await askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE amount IS NOT NULL'), second.words()).toBe(
      known.ledger + 3 * ADDED,
    );
    expect(await readRecovery(instance), second.words()).toMatchObject({ decision: 'restore', losses: [{ kind: 'unlogged' }] });
    await second.stop();
  },
);
