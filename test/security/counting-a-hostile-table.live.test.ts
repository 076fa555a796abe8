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
  'CREATE TABLE public.nothing ()',
  'CREATE TABLE public.child () INHERITS (public.t)',
  'INSERT INTO public.child VALUES (1)',
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
        expect([await count('t'), await count('nothing'), await count('child'), await count('v')]).toEqual([1000, 0, 1, undefined]);
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
