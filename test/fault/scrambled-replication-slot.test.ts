import { expect } from 'vitest';
import { ask } from '../harness/ask.ts';
import { scramble } from '../harness/breaking.ts';
import { boot, readRecovery, run } from '../harness/dbkit.ts';
import { expectAllRows } from '../harness/rows.ts';
import { disaster, scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

disaster({
  name: 'the state of a replication slot holds garbage',
  section: 'B',
  detectedBefore: true,
  healedBy: 'repair',
  rowsLost: 'none (the slot is)',
  left: 'clean',
  prepare: async (instance) => void (await ask(instance, 'postgres', "SELECT pg_create_physical_replication_slot('copy', true)")),
  break: (instance) => scramble(instance, 'pg_replslot/copy/state'),
  postgresSays: /replication slot file "[^"]+" has wrong magic number/,
  expect: { finding: 'replication-slot.damaged', lost: /slot/, losses: ['slot'], quarantine: ['pg_replslot/copy/state'] },
});

scenario(
  {
    name: 'dbkit was killed when it had set a damaged replication slot aside: the next start tells that it is gone',
    section: 'A',
    detectedBefore: true,
    healedBy: 'repair',
    rowsLost: 'none (the slot is)',
    from: 'template',
  },
  async (instance) => {
    const running = await boot(instance);
    await ask(instance, 'postgres', "SELECT pg_create_physical_replication_slot('copy', true)");
    await expectStopped(instance, await running.stop());
    await scramble(instance, 'pg_replslot/copy/state');
    const killed = await run(instance, ['entrypoint'], { env: { DBKIT_FAIL_AT: 'repair.done:1' } });
    expect(killed, killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    const again = await boot(instance);
    expect(await readRecovery(instance), again.words()).toMatchObject({ losses: [{ kind: 'slot' }] });
    await expectAllRows(instance, 0);
    await expectStopped(instance, await again.stop());
  },
);
