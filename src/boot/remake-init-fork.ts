import { connectSuperuser } from '../instance/local.ts';
import type { FileOwner } from '../instance/server/relation-of-file.ts';
import { isAbort, wordsOf } from '../kernel/errors.ts';
import { putFile } from '../recovery/put-file.ts';
import type { Way } from './rebuild-index.ts';

const LOCK_TIMEOUT_MS = 5_000;

/** An unlogged relation whose init fork, at `path`, is gone. `hasRecovered`: it should have been emptied by that fork before the server was up. */
interface WithoutInitFork extends FileOwner {
  readonly path: string;
  readonly hasRecovered: boolean;
}

/** False where it could not be made: then the next crash leaves the relation as it is. */
export async function remakeInitFork(
  { local, socketDir }: Way,
  { database, relation, index, kind, path, hasRecovered }: WithoutInitFork,
  signal: AbortSignal,
): Promise<boolean> {
  const { log } = local.system;
  const asks = async (...statements: readonly string[]): Promise<void> => {
    const session = await connectSuperuser(local, database, signal, socketDir, { lockTimeoutMs: LOCK_TIMEOUT_MS });
    try {
      for (const statement of statements) await session.query(statement);
    } finally {
      await session.end();
    }
  };
  const empty = async (): Promise<void> => {
    const quietly = "SET session_replication_role = 'replica'"; // No trigger of the user's hears of it, and no other table is touched.
    await asks(quietly, `TRUNCATE ONLY ${relation}`).catch(async (cause: unknown) => {
      if (isAbort(cause)) throw cause;
      await asks(quietly, `DELETE FROM ONLY ${relation}`); // A foreign key refers to it.
      await putFile(local, path, '');
    });
  };
  const make = {
    index: () => asks(`REINDEX INDEX ${index}`),
    sequence: () => asks(`ALTER SEQUENCE ${relation} SET LOGGED`, `ALTER SEQUENCE ${relation} SET UNLOGGED`), // PostgreSQL 15 and later, as such sequences.
    table: () => (hasRecovered ? empty() : putFile(local, path, '')),
  }[kind];
  try {
    await make();
    log.info('init-fork.made', `${kind} ${kind === 'index' ? index : relation} in ${database} is unlogged, and has its init fork again`);
    return true;
  } catch (cause) {
    if (isAbort(cause)) throw cause;
    log.warn('init-fork.missing', `${kind} ${relation} in ${database} is unlogged, and its init fork could not be made`, {
      why: wordsOf(cause),
    });
    return false;
  }
}
