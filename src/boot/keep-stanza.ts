import { readCluster } from '../backups/base/cluster.ts';
import { settingOf } from '../formats/conf.ts';
import type { Local } from '../instance/local.ts';
import { wordsOf } from '../kernel/errors.ts';
import type { Child } from '../kernel/machine.ts';
import type { PostgresqlOptions } from './hold.ts';

/** A store that is away is tried again, ever more seldom: the server's archiver tries again by itself. */
const PAUSES_MS = [1_000, 5_000, 30_000, 60_000];

/**
 * Settings of a server that archives to pgBackRest. On the command line, so that without dbkit nobody archives with a configuration that nobody keeps.
 * Where that cannot be written the server starts all the same, with what was written last, and it is told.
 */
export async function archiveToRest(local: Local, { config, reveal }: PostgresqlOptions): Promise<Readonly<Record<string, string>>> {
  if (config.backup.engine !== 'pgbackrest') return {};
  const { system, owner, volume } = local;
  try {
    const [{ createRest }, { archiveSettings }] = [await import('../pgbackrest/program.ts'), await import('../pgbackrest/archive.ts')];
    const { archive_timeout: timeout, ...settings } = archiveSettings(await createRest({ config, system, owner, reveal }).prepare());
    const isSet = 'archive_timeout' in local.settings.settings || (await settingOf(volume.dataDir, 'archive_timeout')) !== undefined;
    return isSet || timeout === undefined ? settings : { ...settings, archive_timeout: timeout };
  } catch (cause) {
    system.log.error('wal.failing', `the WAL is not archived to pgBackRest: ${wordsOf(cause)}`);
    return { archive_mode: 'on', archive_command: 'false' }; // It waits in pg_wal, and is sent once this is mended and the server restarted.
  }
}

/** Makes the stanza, or takes this cluster into it, and tries again for as long as the server lives. Never rejects. */
export async function keepStanza(local: Local, { config, reveal }: PostgresqlOptions, child: Pick<Child, 'exited'>): Promise<void> {
  const { system, owner, volume } = local;
  const over = new AbortController();
  void child.exited.finally(() => over.abort());
  for (let attempt = 0; !over.signal.aborted; attempt += 1) {
    try {
      // Within: where dbkit was updated under this process its parts are gone, and that is no reason to end the server.
      const [{ createRest }, { ensureStanza }] = [await import('../pgbackrest/program.ts'), await import('../pgbackrest/stanza.ts')];
      const rest = createRest({ config, system, owner, reveal });
      const { systemIdentifier } = await readCluster(volume.dataDir, over.signal);
      await ensureStanza(rest, { systemIdentifier, system }, over.signal);
      return;
    } catch (cause) {
      if (attempt === 0 && !over.signal.aborted)
        system.log.error('wal.failing', `the WAL cannot be archived to pgBackRest yet: ${wordsOf(cause)}`);
    }
    await system.clock.sleep(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)]!, over.signal).catch(() => undefined);
  }
}
