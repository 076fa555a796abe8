import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { expectStopped } from './verdict.ts';

const ADDED = 25;
const PERSONS = 40;
/** In their order: the dump is being taken, its rows are loaded, they are anonymised, the new name is given. */
const STEPS = ['dump.database-dumped', 'backup.published', 'dump.loaded', 'dump.checked', 'dump.swapping'] as const;

scenario(
  {
    name: `dbkit was killed in each step of \`pull\` (${STEPS.map((step) => `\`${step}\``).join(', ')})`,
    section: 'A',
    detectedBefore: true,
    healedBy: 'start',
    rowsLost: 'none: the old data is whole each time, and the next pull removes what was left',
    from: 'template',
    longTier: true,
  },
  async (instance) => {
    const running = await boot(instance);
    await addRows(instance, known.ledger + 1, ADDED);
    await ask(
      instance,
      'app',
      `CREATE TABLE person AS SELECT i AS id, 'p' || i || '@corp.test' AS email FROM generate_series(1, ${PERSONS}) i`,
      'ALTER TABLE person OWNER TO app',
      'GRANT SELECT ON ALL TABLES IN SCHEMA public TO app',
      'GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO app',
    );
    const rules = join(instance.root, 'rules.yaml');
    await writeFile(rules, 'person: { email: { fake: email } }');
    const words = ['pull', `postgresql://app:secret@localhost:${instance.port}/app`, '--as', 'copy', '--trust', '--anonymise', rules];
    for (const step of STEPS) {
      const killed = await run(instance, words, { env: { DBKIT_FAIL_AT: step } });
      expect(killed, `${step}: ${killed.stderr}`).toMatchObject({ signal: 'SIGKILL' });
      await expectAllRows(instance, ADDED);
      expect(await askNumber(instance, 'postgres', "SELECT count(*) FROM pg_database WHERE datname = 'copy'"), step).toBe(0);
    }
    const again = await run(instance, words);
    expect(again, again.stderr).toMatchObject({ code: 0 });
    await expectAllRows(instance, ADDED);
    expect(await askNumber(instance, 'copy', 'SELECT count(*) FROM ledger')).toBe(known.ledger + ADDED);
    expect(await askNumber(instance, 'copy', "SELECT count(*) FROM person WHERE email ~ '@example\\.com$'")).toBe(PERSONS);
    const left =
      "SELECT datname AS name FROM pg_database WHERE datname LIKE 'dbkit%' UNION SELECT rolname FROM pg_roles WHERE rolname LIKE 'dbkit%'";
    expect(await ask(instance, 'postgres', left), 'what the killed ones left is dropped').toEqual([]);
    expect(await readdir(join(instance.backupDir, '.pull'))).toEqual(['lock']);
    await expectStopped(instance, await running.stop());
  },
);
