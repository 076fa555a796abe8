import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, unlessMissing } from '../../kernel/errors.ts';
import { readPlainText } from '../../machine/plain-file.ts';
import type { Local } from '../local.ts';

/** The line in postgresql.conf by which an instance is known that dbkit has initialised. */
const INITIALIZED_BY_DBKIT = '# Added by dbkit at initialisation';

/**
 * Of an instance of dbkit's own, settings are dbkit's to choose; one that was adopted keeps those of whoever made it. Rejects where the file is there and
 * cannot be read: then nobody knows, and what is dbkit's (the slot of the WAL) is not given up.
 */
export async function isInitializedByDbkit(dataDir: string): Promise<boolean> {
  const text = await readPlainText(join(dataDir, 'postgresql.conf')).catch((cause: unknown) => {
    if (errnoOf(cause) === 'EISDIR') return undefined; // No server reads it either.
    return unlessMissing(cause);
  });
  return text?.includes(INITIALIZED_BY_DBKIT) === true;
}

/**
 * A client that dies while its query waits would hold its connection until the query ends: pools that try again then take all there are. The
 * setting is there from 14 on (client_connection_check_interval).
 */
const CLIENTS_GONE = "client_connection_check_interval = '1s'\n";

/** As the official image sets it: whoever may use the socket is trusted, everybody else proves a password. */
export async function configure({ settings, volume, binaries }: Local): Promise<void> {
  await appendFile(
    join(volume.incoming, 'pg_hba.conf'),
    `\n${INITIALIZED_BY_DBKIT} (hostAuthMethod).\nhost all all all ${settings.hostAuthMethod}\n`,
  );
  await appendFile(
    join(volume.incoming, 'postgresql.conf'),
    `\n${INITIALIZED_BY_DBKIT}; port and socket directory come from dbkit's configuration at every start.\nlisten_addresses = '${settings.listenAddresses.replaceAll("'", "''")}'\n${binaries.major >= 14 ? CLIENTS_GONE : ''}`,
  );
}
