import { expect, test } from 'vitest';
import { groundAt, makeTable, removeTable } from '../../src/cluster/drill/table.ts';
import type { Endpoint } from '../../src/cluster/drill/writers.ts';
import { openAt, SCHEMA, TABLE } from '../../src/cluster/drill/writers.ts';
import { ask } from '../harness/ask.ts';
import { startBare } from '../harness/bare-server.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const { signal } = new AbortController();
const trap = (signature: string, returns: string, value: string): string =>
  `CREATE FUNCTION public.${signature} RETURNS ${returns} LANGUAGE plpgsql AS $$ BEGIN
     IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN EXECUTE 'ALTER ROLE stranger SUPERUSER'; END IF;
     RETURN ${value}; END $$`;
/** Of whoever may make functions in the database `postgres`: each fits better than PostgreSQL's own, or is found first. */
const hostile = [
  'SET ROLE stranger',
  trap('obj_description(oid, text)', 'text', "'hello'"),
  trap('pg_backend_pid()', 'int', '1'),
  trap('now()', 'timestamptz', 'pg_catalog.now()'),
  trap('pg_is_in_recovery()', 'bool', 'true'),
  trap('eq(name, text)', 'bool', 'true'),
  'CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.eq)',
  'CREATE DOMAIN public.int8 AS text',
];

test.for(installed)(
  'a drill on the real cluster runs nobody’s functions in the superuser’s sessions (PostgreSQL $major)',
  async (programs) => {
    const instance = await openInstance({ programs, from: 'template' });
    const server = await startBare(instance.programs, instance.dataDir, instance);
    try {
      expect(server.up, server.words()).toBe(true);
      await ask(instance, 'postgres', 'CREATE ROLE stranger', 'GRANT ALL ON SCHEMA public TO stranger');
      await ask(instance, 'postgres', ...hostile);
      await ask(instance, 'postgres', 'ALTER DATABASE postgres SET search_path = public, pg_catalog');
      await ask(instance, 'postgres', 'ALTER DATABASE postgres SET synchronous_commit = remote_write');
      const place = { host: instance.socketDir, port: instance.port };
      const login = { superuser: 'postgres' };
      const direct: Endpoint = { name: 'write', place };
      expect(await groundAt(direct, login, signal)).toEqual({ schema: 'none', isPublished: false });
      for (const endpoint of [direct, { name: 'pooler', place } as const]) {
        await makeTable(endpoint, login, signal);
        expect(await groundAt(direct, login, signal)).toEqual({ schema: 'left', isPublished: false });
        const session = await openAt(endpoint, login, signal);
        try {
          await session.query(`insert into ${TABLE} (writer, row) values ($1, $2)`, [1, 2]);
          expect(await session.query(`select writer, row from ${TABLE}`)).toEqual([{ writer: 1, row: '2' }]);
          const [commits] = await session.query("select pg_catalog.current_setting('synchronous_commit') as how");
          expect(commits, 'as those of an application').toEqual({ how: 'remote_write' });
        } finally {
          await session.end();
        }
        await removeTable(endpoint, login, signal);
      }
      expect(
        await ask(instance, 'postgres', `SELECT FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) '${SCHEMA}'`),
      ).toEqual([]);
      const [role] = await ask(
        instance,
        'postgres',
        "SELECT rolsuper AS super FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'stranger'",
      );
      expect(role).toEqual({ super: false });
    } finally {
      await server.stop();
    }
  },
);
