import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber, askText } from '../harness/ask.ts';
import { boot, readRecovery } from '../harness/dbkit.ts';
import { known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

scenario(
  {
    name: 'half of one database’s files are gone, so that a repair of its catalogs fails, and an index of another was zeroed from a page on: that is not forgotten for it',
    section: 'C',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'those of the first database; the index is built anew, or told',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await ask(instance, 'app', 'ALTER DATABASE app SET enable_seqscan = off', 'ALTER DATABASE app SET enable_indexonlyscan = off');
    await ask(instance, 'app', 'CREATE INDEX ledger_range ON ledger USING gist (int4range(id, id + 1))');
    const index = join(instance.dataDir, await askText(instance, 'app', "SELECT pg_relation_filepath('ledger_range')"));
    const other = await askText(instance, 'postgres', "SELECT 'base/' || oid AS path FROM pg_database WHERE datname = 'postgres'");
    await expectStopped(instance, await running.stop());
    const files = (await readdir(join(instance.dataDir, other))).sort();
    for (const name of files.filter((_, at) => at % 2 === 0)) await rm(join(instance.dataDir, other, name));
    const file = await open(index, 'r+');
    const { size } = await file.stat();
    await file.write(Buffer.alloc(size - 8 * 8192), 0, size - 8 * 8192, 8 * 8192);
    await file.close();

    const again = await boot(instance);
    const isTold = (await readRecovery(instance))!.losses.some((loss) => 'path' in loss && join(instance.dataDir, loss.path) === index);
    const rows = askNumber(instance, 'app', 'SELECT count(*) FROM ledger WHERE int4range(id, id + 1) && int4range(1, 1000000)');
    if (!isTold) expect(await rows, again.words()).toBe(known.ledger);
    else await expect(rows, 'it was told rightly').rejects.toThrow(/zero page/);
    expect(await askNumber(instance, 'app', 'SELECT count(amount) FROM ledger')).toBe(known.ledger);
    await again.stop();
  },
);
