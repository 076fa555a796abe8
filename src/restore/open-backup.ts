import type { Backups } from '../backups/backup.ts';
import { findBackup } from '../backups/find-backup.ts';
import { DbkitError, isAbort } from '../kernel/errors.ts';
import { exitStatus } from '../kernel/exit-status.ts';
import type { Child, Signals, SpawnChild } from '../kernel/machine.ts';
import type { Copies } from './copies-contract.ts';

export interface OpenReport {
  readonly label: string;
  readonly exitStatus: number;
}

const INTERRUPTED = 130;

/**
 * Starts a throw-away copy of a backup and runs a command against it, psql where none is given; its PGHOST, PGPORT, PGUSER and PGDATABASE lead
 * there. The copy is gone afterwards. Resolves with the command's status, or 130 when a signal came before it ran.
 */
export async function openBackup(
  app: {
    readonly backups: readonly Backups[];
    readonly copies: Copies;
    readonly spawn: SpawnChild;
    readonly signals: Signals;
    readonly commandEnvironment: Readonly<Record<string, string>>;
  },
  { label, command }: { readonly label: string; readonly command: readonly string[] },
): Promise<OpenReport> {
  const abort = new AbortController();
  let child: Child | undefined;
  const unsubscribe = app.signals.subscribe((signal) => {
    if (signal === 'SIGUSR1' || signal === 'SIGHUP') return;
    if (!child) abort.abort();
    else if (signal !== 'SIGINT') child.kill(signal); // A terminal's Ctrl-C has reached it already; to psql it means: end this query.
  });
  try {
    const found = await findBackup(app, label, abort.signal);
    const { backup } = found;
    const status = await app.copies.open(
      found,
      async ({ socketDir, port, user, database, client }) => {
        const [file = client, ...args] = command;
        const env = { ...app.commandEnvironment, PGHOST: socketDir, PGPORT: String(port), PGUSER: user, PGDATABASE: database };
        child = await app.spawn({ file, args, env, output: 'inherit', newSession: false }).catch((cause: unknown) => {
          if (command.length > 0 || !(cause instanceof DbkitError && cause.code === 'program.missing')) throw cause;
          throw new DbkitError('program.missing', 'psql is not installed here', {
            hint: `install a PostgreSQL client, or name another program: \`dbkit backup open ${backup.label} -- CMD\``,
            cause,
          });
        });
        return exitStatus(await child.exited);
      },
      abort.signal,
    );
    return { label: backup.label, exitStatus: status };
  } catch (cause) {
    if (abort.signal.aborted && isAbort(cause)) return { label, exitStatus: INTERRUPTED };
    throw cause;
  } finally {
    unsubscribe();
  }
}
