import { dirname, join } from 'node:path';
import { forgetRestore } from '../boot/forget-restore.ts';
import type { Local } from '../instance/local.ts';
import { checkDatabases } from '../instance/server/databases.ts';
import { copySettings, onPrivateServer } from '../instance/server/private-server.ts';
import { tellTrouble } from '../instance/session-trouble.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { HeldLock } from '../kernel/machine.ts';

/**
 * Starts a restored copy where it lies, lets it recover, and asks every database. It is shut down cleanly again, so whoever starts it next need
 * not recover. Resolves to the number of databases. Rejects with `data.corrupt` and what does not answer.
 */
export async function bootTest(local: Local, directory: string, lock: HeldLock | undefined, signal: AbortSignal): Promise<number> {
  const { system, binaries } = local;
  system.log.info('restore.boot-test', 'starting the restored copy beside the data');
  const aside = { ...local, unasked: new Map(), hungUp: new Set<string>(), logFile: join(dirname(local.logFile), 'restore.log') };
  const server = {
    dataDir: directory,
    lock,
    settings: copySettings(binaries.major, { throwAway: false }),
    trusts: true,
    what: 'the restored copy',
  };
  const { databases, silent, closed, unknown, lost } = await onPrivateServer(aside, server, signal, (socketDir) =>
    checkDatabases(aside, { socketDir }, signal),
  );
  await forgetRestore(local, directory);
  for (const { database, words } of closed)
    system.log.info('database.closed', `database ${database} accepts no connections, so it was not checked`, { why: words });
  for (const { database, id, words } of unknown)
    system.log.warn('restore.unchecked', `the restored copy starts; database ${database} was not looked at: ${tellTrouble(id, words)}`, {
      why: words,
    });
  const wrong = [
    ...silent.map(({ database, words }) => `database ${database} does not answer (${words})`),
    ...lost.filter(({ shrunk }) => !shrunk).map(({ database, relation }) => `the file of ${relation} in ${database} is missing`),
  ];
  if (wrong.length === 0) return databases;
  throw new DbkitError('data.corrupt', `the restored copy is not whole: ${wrong.slice(0, 5).join(', ')}`, {
    hint: 'restore another backup: `dbkit backup list` shows which are good; nothing was changed',
  });
}
