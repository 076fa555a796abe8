import { expect } from 'vitest';
import { countMember } from '../../src/cluster/restoring/count-rows.ts';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

nightly('after a restore of a cluster each row is counted once, also where a table inherits from another one', async () => {
  const instance = await openInstance({ programs: installed[0]!, from: 'template' });
  const server = await startBare(instance.programs, instance.dataDir, instance);
  const place = { host: instance.socketDir, port: instance.port };
  const { signal } = new AbortController();
  const before = await countMember(place, { superuser: 'postgres' }, signal);
  expect(before.rows).toBeGreaterThanOrEqual(known.ledger + known.documents + known.archive);
  await ask(instance, 'app', 'CREATE TABLE grown () INHERITS (ledger)', 'INSERT INTO grown SELECT * FROM ONLY ledger LIMIT 7');
  const after = await countMember(place, { superuser: 'postgres' }, signal);
  await server.stop();
  expect(after).toEqual({ databases: before.databases, tables: before.tables + 1, rows: before.rows! + 7 });
});
