import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { findBinaries } from '../../instance/binaries.ts';
import { withPassfile } from '../../instance/passfile.ts';
import { peerOf, tlsEnvironment, toolOptions } from '../../instance/sessions.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity, System, Tool, ToolResult } from '../../kernel/machine.ts';
import { isExecutable } from '../../machine/is-there.ts';

/** PostgreSQL's own client programs, called for one server; the password travels in a file, names never meet a shell. */
export interface DumpTools {
  /** 'pg_dump (PostgreSQL) 15.18'. */
  readonly version: string;
  run(program: Program, args: readonly string[], signal: AbortSignal, at?: ToolTarget): Promise<ToolResult>;
  /** The same, but a non-zero status is a result. */
  attempt(program: Program, args: readonly string[], signal: AbortSignal, at?: ToolTarget): Promise<ToolResult>;
}

type Program = 'pg_dump' | 'pg_restore';

/** A database to work on; on another server of this machine, or as another role, where these are given. */
export interface ToolTarget {
  readonly database: string;
  readonly socketDir?: string | undefined;
  readonly role?: { readonly name: string; readonly password: string } | undefined;
}

/** A dump of terabytes is not for this engine; a hang is. */
const TIMEOUT_MS = 24 * 3_600_000;

/** Finds pg_dump and pg_restore of at least `major`. Rejects with `program.missing`: the embedded packages bring neither. */
export async function findTools(
  major: number,
  { config, system, owner }: { config: Config; system: System; owner: Identity | undefined },
  signal: AbortSignal,
): Promise<DumpTools> {
  const { socketDir, port, superuser, superuserPassword, binDir } = config.postgresql;
  const beside = await findBinaries({ major, directory: binDir }, system, signal).then(
    ({ directory }) => [directory],
    () => [],
  );
  const path = (system.childEnvironment['PATH'] ?? '').split(':').filter(Boolean);
  for (const directory of [...beside, ...(binDir === undefined ? [] : [binDir]), ...path]) {
    if (!(await isExecutable(join(directory, 'pg_dump'))) || !(await isExecutable(join(directory, 'pg_restore')))) continue;
    const { stdout } = await system.runner.run({ file: join(directory, 'pg_dump'), args: ['--version'], timeoutMs: 10_000 }, signal);
    if (Number(/(\d+)(\.\d+)?/.exec(stdout)?.[1]) < major) continue; // An older one refuses a newer server.
    const env = {
      ...system.childEnvironment,
      LC_ALL: 'C', // What pg_restore says of an entry is read back by its number.
      LANGUAGE: '',
      PGHOST: socketDir,
      PGPORT: String(port),
      PGUSER: superuser,
      PGAPPNAME: 'dbkit',
      PGOPTIONS: toolOptions(undefined),
      ...tlsEnvironment(config.postgresql),
    };
    const call = (program: Program, args: readonly string[], at: ToolTarget | undefined, by: (tool: Tool) => Promise<ToolResult>) =>
      withPassfile(at?.role?.password ?? superuserPassword?.reveal(), { system, owner }, async (passfile) =>
        by({
          file: join(directory, program),
          args,
          env: {
            ...env,
            ...passfile,
            ...(at ? environmentOf(at, socketDir) : {}),
            ...(await peerOf({ ...config.postgresql, socketDir: at?.socketDir ?? socketDir })),
          },
          as: owner,
          timeoutMs: TIMEOUT_MS,
        }),
      );
    return {
      version: stdout.trim(),
      run: (program, args, abort, at) => call(program, args, at, (tool) => system.runner.run(tool, abort)),
      attempt: (program, args, abort, at) => call(program, args, at, (tool) => system.runner.attempt(tool, abort)),
    };
  }
  throw new DbkitError('program.missing', `pg_dump and pg_restore of PostgreSQL ${major} or newer are not installed`, {
    hint: `install them (Debian: apt-get install postgresql-client-${major}), or take a base backup: \`dbkit backup create\``,
  });
}

/** As an argument the name of a database would be taken for a connection string. */
const environmentOf = ({ database, socketDir, role }: ToolTarget, own: string): Record<string, string> => ({
  PGDATABASE: database,
  PGHOST: socketDir ?? own,
  ...(role ? { PGUSER: role.name } : {}),
});

/** A database as pg_restore's --dbname takes it: a connection string, in which the name is quoted (libpq, "Connection Strings"). */
export const asConnectionString = (database: string): string => `dbname='${database.replace(/[\\']/g, '\\$&')}'`;
