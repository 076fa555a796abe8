import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SEED_MARK } from '../../src/instance/initialize/initdb-scripts.ts';
import { ask, askNumber } from '../harness/ask.ts';
import { boot } from '../harness/dbkit.ts';
import { type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

/** A role that a superuser's session has given itself is taken back by any function; a table's check is enough. */
const seed = (file: string): string => `${SEED_MARK} A first start runs it.
SELECT pg_catalog.set_config('role', pg_catalog.pg_get_userbyid(datdba)::text, false)
  FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database();
CREATE FUNCTION public.seizes(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE way text; statement text;
BEGIN
  FOREACH way IN ARRAY ARRAY['SELECT 1', 'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION postgres'] LOOP
    FOREACH statement IN ARRAY ARRAY['ALTER ROLE app SUPERUSER', 'COPY (SELECT 1) TO PROGRAM ''touch ${file}''', 'COPY (SELECT 1) TO ''${file}'''] LOOP
      BEGIN
        EXECUTE way;
        EXECUTE statement;
      EXCEPTION WHEN OTHERS THEN NULL;
      END;
    END LOOP;
  END LOOP;
  RETURN true;
END $$;
CREATE TABLE public.goods (n int, CHECK (public.seizes(n)));
INSERT INTO public.goods VALUES (1), (2), (3);
`;

const superusers = (instance: Instance) =>
  ask(instance, 'postgres', "SELECT string_agg(rolname, ',' ORDER BY rolname) AS names FROM pg_roles WHERE rolsuper");

test('a first start runs a seed as the owner of the database, and nothing of it as the superuser or in psql', async () => {
  const instance = await openInstance({ programs: installed.at(-1)!, from: 'empty' });
  const file = join(instance.root, 'seized');
  await writeFile(join(instance.initScriptsDir, '50-seed.sql'), seed(file));
  const running = await boot(instance);
  expect(await askNumber(instance, 'app', 'SELECT count(*) FROM goods')).toBe(3);
  expect(existsSync(file)).toBe(false);
  expect(await superusers(instance)).toEqual([{ names: 'postgres' }]);
  expect(await ask(instance, 'app', "SELECT tableowner AS owner FROM pg_tables WHERE tablename = 'goods'")).toEqual([{ owner: 'app' }]);
  await running.stop();
});

test('a seed in which somebody has written a command of psql’s ends a first start, and runs no program', async () => {
  const instance = await openInstance({ programs: installed.at(-1)!, from: 'empty' });
  const file = join(instance.root, 'seized');
  await writeFile(join(instance.initScriptsDir, '50-seed.sql'), `${seed(file)}\\! touch ${file}\n`);
  await expect(boot(instance)).rejects.toThrow(/without psql/);
  expect(existsSync(file)).toBe(false);
});
