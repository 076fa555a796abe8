import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { findBinaries } from '../../instance/binaries.ts';
import { toolOptions } from '../../instance/sessions.ts';
import { DbkitError } from '../../kernel/errors.ts';
import type { Identity, System, ToolResult } from '../../kernel/machine.ts';

/** PostgreSQL's own client programs, called for one server; the password travels in the environment, names never meet a shell. */
export interface DumpTools {
  /** 'pg_dump (PostgreSQL) 15.18'. */
  readonly version: string;
  /** `socketDir`: another server of this machine than the instance's own. */
  run(
    program: 'pg_dump' | 'pg_restore',
    args: readonly string[],
    signal: AbortSignal,
    at?: { readonly database: string; readonly socketDir?: string | undefined },
  ): Promise<ToolResult>;
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
  for (const directory of [...beside, ...path]) {
    if (!(await executable(join(directory, 'pg_dump'))) || !(await executable(join(directory, 'pg_restore')))) continue;
    const { stdout } = await system.runner.run({ file: join(directory, 'pg_dump'), args: ['--version'], timeoutMs: 10_000 }, signal);
    if (Number(/(\d+)(\.\d+)?/.exec(stdout)?.[1]) < major) continue; // An older one refuses a newer server.
    const env = {
      ...system.childEnvironment,
      PGHOST: socketDir,
      PGPORT: String(port),
      PGUSER: superuser,
      PGAPPNAME: 'dbkit',
      PGOPTIONS: toolOptions(undefined),
      ...(superuserPassword ? { PGPASSWORD: superuserPassword.reveal() } : {}),
    };
    return {
      version: stdout.trim(),
      run: (program, args, abort, at) =>
        system.runner.run(
          {
            file: join(directory, program),
            args,
            // As an argument the name would be taken for a connection string.
            env: at === undefined ? env : { ...env, PGDATABASE: at.database, PGHOST: at.socketDir ?? socketDir },
            as: owner,
            timeoutMs: TIMEOUT_MS,
          },
          abort,
        ),
    };
  }
  throw new DbkitError('program.missing', `pg_dump and pg_restore of PostgreSQL ${major} or newer are not installed`, {
    hint: `install them (Debian: apt-get install postgresql-client-${major}), or take a base backup: \`dbkit backup create\``,
  });
}

const executable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );

/** A database as pg_restore's --dbname takes it: a connection string, in which the name is quoted (libpq, "Connection Strings"). */
export const asConnectionString = (database: string): string => `dbname='${database.replace(/[\\']/g, '\\$&')}'`;
