import { expect } from 'vitest';
import type { ListedBackup } from '../../src/backups/list-backups.ts';
import type { ChoreReport } from '../../src/upkeep/contract.ts';
import { ask } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { dumpable } from '../harness/majors.ts';
import { nightly } from '../harness/tier.ts';

/** In a database of SQL_ASCII a name is bytes of any kind (charset.sgml, "Character Set Support"): no session that speaks UTF-8 reads it. */
const make = [
  `CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'`,
  'CREATE DATABASE later',
  'CREATE DATABASE plain ENCODING $$SQL_ASCII$$ TEMPLATE template0 LOCALE $$C$$',
];
const badTable = `DO $$ BEGIN EXECUTE format('CREATE TABLE %I AS SELECT 1 AS i', convert_from('\\xe9ff', 'SQL_ASCII')); END $$`;
/** An index whose function has come to fail is no reason to leave the next one alone. */
const failing = [
  'CREATE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN i; END $$',
  'CREATE TABLE a_small (i int)',
  'INSERT INTO a_small VALUES (1)',
  'CREATE INDEX ON a_small (fails(i))',
  `CREATE OR REPLACE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'no'; END $$`,
  'CREATE TABLE larger AS SELECT i FROM generate_series(1, 100000) i',
  'CREATE INDEX ON larger (i)',
];

nightly(
  'names that are in no encoding: the database is named and passed over, and every other one is dumped and looked after',
  async ({ skip }) => {
    const [programs] = dumpable;
    if (!programs) skip('pg_dump is not installed');
    const instance = await openInstance({ programs: programs!, from: 'template' });
    const running = await boot(instance);
    await ask(instance, 'postgres', ...make);
    await ask(instance, 'bytes', badTable);
    await ask(instance, 'plain', 'CREATE TABLE t (i int)');
    await ask(instance, 'later', ...failing);

    const dumped = await run(instance, ['backup', 'create', '--engine', 'dump', '--json']);
    expect(dumped, dumped.stderr).toMatchObject({ code: 0, stderr: expect.stringMatching(/bytes is not in the dump: names in it/) });
    const { backup } = (JSON.parse(dumped.stdout) as { report: { backup: ListedBackup } }).report;
    expect(await run(instance, ['backup', 'verify', backup.label, '--test'])).toMatchObject({ code: 0 });
    for (const name of ['later', 'plain'])
      expect(await run(instance, ['backup', 'restore', backup.label, '--database', name, '--into', `${name}_again`])).toMatchObject({
        code: 0,
      });
    const named = await run(instance, ['backup', 'create', '--engine', 'dump', '--database', 'bytes']);
    expect(named.code, 'whoever names it is told that it cannot be had').toBe(1);

    const tended = await run(instance, ['maintenance', 'reindex', '--all', '--json']);
    expect(tended, tended.stderr).toMatchObject({ code: 0, stderr: expect.stringMatching(/bytes is passed over/) });
    const { steps } = (JSON.parse(tended.stdout) as { report: ChoreReport }).report;
    const of = (target: string) => steps.find((step) => step.database === 'later' && step.target === `public.${target}`);
    expect(of('a_small')).toMatchObject({ outcome: 'skipped', why: expect.stringContaining('no') });
    expect(of('larger')).toMatchObject({ outcome: 'done' });
    await running.stop();
  },
);
