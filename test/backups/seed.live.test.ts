import { existsSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ask, askNumber } from '../harness/ask.ts';
import { boot, run } from '../harness/dbkit.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { known } from '../harness/rows.ts';
import { nightly } from '../harness/tier.ts';

const withDump = installed.find(({ directory }) => existsSync(join(directory, 'pg_dump')));

(withDump ? nightly : nightly.skip)(
  'a seed is loaded whole: by the first start of a colleague, after the scripts before it, and by hand',
  async () => {
    const source = await openInstance({ programs: withDump!, from: 'template' });
    const running = await boot(source);
    const file = join(source.root, 'seed', '50-seed.sql');
    const saved = await run(source, ['seed', 'save', file]);
    expect(saved, saved.stderr).toMatchObject({ code: 0 });
    const once = await readFile(file, 'utf8');
    expect(await run(source, ['seed', 'save', file, '--max-size', '1kB'])).toMatchObject({ code: 2 });
    expect(await run(source, ['seed', 'save', file])).toMatchObject({ code: 0 });
    expect(await readFile(file, 'utf8'), 'the same data is the same file').toBe(once);

    expect(await run(source, ['seed', 'load', file])).toMatchObject({ code: 77, stderr: expect.stringContaining('is not empty') });
    await ask(source, 'postgres', 'CREATE DATABASE fresh OWNER app');
    expect(await run(source, ['seed', 'load', file, '--database', 'fresh'])).toMatchObject({ code: 0 });
    expect(await askNumber(source, 'fresh', 'SELECT count(*) FROM ledger')).toBe(known.ledger);
    await writeFile(file, `${once}\nSELECT 1/0;\n`);
    await ask(source, 'postgres', 'CREATE DATABASE torn OWNER app');
    expect(await run(source, ['seed', 'load', file, '--database', 'torn'])).toMatchObject({ code: 1 });
    expect(await askNumber(source, 'torn', "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), 'nothing of it stays').toBe(0);
    await running.stop();

    const colleague = await openInstance({ programs: installed.at(-1)!, from: 'empty' });
    await writeFile(join(colleague.initScriptsDir, '10-first.sql'), 'CREATE SCHEMA before_the_seed;');
    await writeFile(join(colleague.initScriptsDir, '90-last.sql'), 'CREATE TABLE after_the_seed AS SELECT count(*) FROM ledger;');
    await writeFile(join(colleague.initScriptsDir, '50-seed.sql'), once);
    await cp(join(source.root, 'seed', '50-seed.json'), join(colleague.initScriptsDir, '50-seed.json'));
    const first = await boot(colleague);
    expect(await askNumber(colleague, 'app', 'SELECT count FROM after_the_seed')).toBe(known.ledger);
    const owner = await ask<{ owner: string }>(colleague, 'app', "SELECT tableowner AS owner FROM pg_tables WHERE tablename = 'ledger'");
    expect(owner, 'the application may use it').toEqual([{ owner: 'app' }]);
    await first.stop();
  },
);
