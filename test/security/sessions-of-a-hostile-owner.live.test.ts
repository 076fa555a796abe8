import { expect, test } from 'vitest';
import { openAsSuperuser } from '../../src/instance/sessions.ts';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const signal = new AbortController().signal;

/** What somebody who owns a database, or a careless administrator, can put in the way of the superuser's own sessions. */
const traps = [
  'ALTER DATABASE owned SET search_path = public, pg_catalog',
  "ALTER DATABASE owned SET session_preload_libraries = 'no_such_library'",
  "ALTER DATABASE owned SET statement_timeout = '1ms'",
  "ALTER DATABASE owned SET lock_timeout = '1ms'",
  "ALTER DATABASE owned SET idle_in_transaction_session_timeout = '1ms'",
  "ALTER DATABASE owned SET default_transaction_isolation = 'serializable'",
  "ALTER DATABASE owned SET datestyle = 'German'",
  'ALTER DATABASE owned SET extra_float_digits = -15',
  'ALTER DATABASE owned SET exit_on_error = on',
  'ALTER DATABASE owned SET standard_conforming_strings = off',
  'ALTER DATABASE owned SET quote_all_identifiers = on',
  'ALTER ROLE postgres IN DATABASE owned SET search_path = public, pg_catalog',
  "ALTER ROLE postgres IN DATABASE owned SET role = 'owner'",
];
const operator = [
  'SET ROLE owner',
  `CREATE FUNCTION public.lt(oid, int4) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
     IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN EXECUTE 'ALTER ROLE owner SUPERUSER'; END IF;
     RETURN $1::pg_catalog.int8 OPERATOR(pg_catalog.<) $2::pg_catalog.int8; END $$`,
  'CREATE OPERATOR public.< (LEFTARG = oid, RIGHTARG = int4, FUNCTION = public.lt)',
];
const loginTrigger = [
  `CREATE FUNCTION public.at_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nobody gets in'; END $$`,
  'CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION public.at_login()',
];

test.for(installed)('a superuser’s session is its own (PostgreSQL $major)', async (programs) => {
  const instance = await openInstance({ programs, from: 'template' });
  const server = await startBare(instance.programs, instance.dataDir, instance);
  try {
    expect(server.up, server.words()).toBe(true);
    await ask(instance, 'postgres', 'CREATE ROLE owner LOGIN', 'CREATE DATABASE owned OWNER owner');
    await ask(instance, 'owned', 'GRANT ALL ON SCHEMA public TO owner', ...operator);
    if (programs.major >= 17) await ask(instance, 'owned', ...loginTrigger);
    await ask(instance, 'postgres', ...traps);
    const { socketDir, port } = instance;
    // With the major known beforehand, and heard from the server itself.
    for (const dataDir of programs.major >= 17 ? [instance.dataDir] : [instance.dataDir, undefined]) {
      const session = await openAsSuperuser({ socketDir, port, superuser: 'postgres', dataDir }, 'owned', {}, signal);
      try {
        const rows = await session.query<{ name: string; setting: string }>(
          `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('search_path', 'statement_timeout', 'lock_timeout',
             'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout', 'synchronous_commit', 'event_triggers',
             'session_preload_libraries', 'default_transaction_isolation')`,
        );
        expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
          search_path: 'pg_catalog,pg_temp',
          statement_timeout: '0',
          lock_timeout: '0',
          idle_in_transaction_session_timeout: '0',
          synchronous_commit: 'local',
          session_preload_libraries: '',
          default_transaction_isolation: 'read committed',
          ...(programs.major >= 14 ? { idle_session_timeout: '0' } : {}),
          ...(programs.major >= 17 ? { transaction_timeout: '0', event_triggers: 'off' } : {}),
        });
        await session.query('SELECT count(*) FROM pg_class c WHERE c.oid < 16384');
        await expect(session.query('SELECT 1 / 0')).rejects.toMatchObject({ code: 'command.failed' });
        const [exact] = await session.query("SELECT 200001::float8 AS rows, length('\\\\') AS length, quote_ident('a') AS name");
        expect(exact).toEqual({ rows: 200_001, length: 2, name: 'a' });
        const [who] = await session.query<{ user: string; now: Date }>('SELECT current_user AS user, now()::timestamptz(0) AS now');
        expect(who).toMatchObject({ user: 'postgres', now: expect.any(Date) });
      } finally {
        await session.end();
      }
    }
    const [role] = await ask<{ super: boolean }>(instance, 'postgres', "SELECT rolsuper AS super FROM pg_roles WHERE rolname = 'owner'");
    expect(role).toEqual({ super: false });
  } finally {
    await server.stop();
  }
});
