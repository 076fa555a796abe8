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
  const statements = {
    index: [`REINDEX INDEX ${index}`],
    sequence: [`ALTER SEQUENCE ${relation} SET LOGGED`, `ALTER SEQUENCE ${relation} SET UNLOGGED`], // PostgreSQL 15 has the first of them, and both words.
    // Only unlogged tables refer to an unlogged one, and the same crash has emptied them. No trigger of the user's hears of it.
    table: hasRecovered ? ["SET session_replication_role = 'replica'", `TRUNCATE ONLY ${relation} CASCADE`] : [],
  }[kind];
  try {
    if (statements.length === 0) await putFile(local, path, '');
    else {
      const session = await connectSuperuser(local, database, signal, socketDir, { lockTimeoutMs: LOCK_TIMEOUT_MS });
      try {
        for (const statement of statements) await session.query(statement);
      } finally {
        await session.end();
      }
    }
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
