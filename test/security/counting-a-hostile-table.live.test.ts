import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rowsOf } from '../../src/instance/count-rows.ts';
import { openAsSuperuser } from '../../src/instance/sessions.ts';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';
import { everywhere } from '../harness/tier.ts';

/** The planner runs what is constant in an index, of which it makes no use. */
const trap = [
  'SET ROLE owner',
  `CREATE FUNCTION public.seize(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
     IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN ALTER ROLE owner SUPERUSER; END IF; RETURN 1; END $$`,
  'CREATE FUNCTION public.looks_harmless(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.seize($1); END $$',
  'CREATE TABLE public.t AS SELECT g AS id FROM pg_catalog.generate_series(1, 1000) g',
  'CREATE MATERIALIZED VIEW public.v AS SELECT * FROM public.t',
  'CREATE INDEX ON public.t ((public.looks_harmless(1) + id))',
  'CREATE INDEX ON public.v (id) WHERE public.looks_harmless(1) = 1',
  'CREATE MATERIALIZED VIEW public.later AS SELECT * FROM public.t',
  'CREATE TABLE public.nothing ()',
  'CREATE TABLE public.child () INHERITS (public.t)',
  'INSERT INTO public.child VALUES (1)',
];
/** It is there when the rows are counted, and not yet in the snapshot that the count is of; a read-only transaction may start programs. */
const late = (proof: string): readonly string[] => [
  'SET ROLE owner',
  `CREATE FUNCTION public.run(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
     IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN COPY (SELECT 1) TO PROGRAM 'cat > ${proof}'; END IF; RETURN 1; END $$`,
  'CREATE FUNCTION public.looks_harmless_too(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.run($1); END $$',
  'CREATE INDEX ON public.later (id) WHERE public.looks_harmless_too(1) = 1',
];

test.for(everywhere ? installed : installed.slice(0, 1))(
  'rows are counted to the last one, and nobody becomes superuser by it (PostgreSQL $major)',
  async (programs) => {
    const instance = await openInstance({ programs, from: 'template' });
    const server = await startBare(instance.programs, instance.dataDir, instance);
    try {
      expect(server.up, server.words()).toBe(true);
      await ask(instance, 'postgres', 'CREATE ROLE owner LOGIN', 'CREATE DATABASE owned OWNER owner');
      await ask(instance, 'owned', 'GRANT ALL ON SCHEMA public TO owner', ...trap);
      const { socketDir, port } = instance;
      const session = await openAsSuperuser({ socketDir, port, superuser: 'postgres' }, 'owned', {}, new AbortController().signal);
      try {
        await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'); // As a diff does.
        const count = (name: string) => rowsOf(session, { schema: 'public', name });
        await session.query('SELECT FROM pg_class LIMIT 1'); // From here on it sees nothing newer.
        const proof = join(instance.dataDir, 'was-run');
        await ask(instance, 'owned', ...late(proof));
        const rows = await count('later');
        expect(existsSync(proof)).toBe(false);
        expect(rows).toBe(programs.major >= 18 ? 1000 : undefined);
        expect([await count('t'), await count('nothing'), await count('child'), await count('v')]).toEqual([
          1000,
          0,
          1,
          programs.major >= 18 ? 1000 : undefined,
        ]);
        await expect(count('gone')).rejects.toMatchObject({ code: 'command.failed' });
      } finally {
        await session.end();
      }
      const [role] = await ask<{ super: boolean }>(instance, 'postgres', "SELECT rolsuper AS super FROM pg_roles WHERE rolname = 'owner'");
      expect(role).toEqual({ super: false });
    } finally {
      await server.stop();
    }
  },
);
