import { copyFile, readdir, rm, stat, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { serverLogFile } from '../instance/server-log-file.ts';
import { errnoOf } from '../kernel/errors.ts';
import type { System } from '../kernel/machine.ts';
import { durationMs, sizeBytes } from '../kernel/units.ts';
import { type LogFile, type LogsPruned, planLogs } from './needs.ts';

/** What dbkit, the server and logrotate call their logs; other files in the folder are somebody else's. */
const isLog = /^(postgresql|dbkit|restore)[\w.-]*\.(log|csv|json)(\.[\w-]+)*(\.(gz|xz|zst))?$/;

/**
 * Removes old logs of the server and of dbkit from the folder where the server logs now, by age and by size. One that is written to and has
 * grown too large is copied and emptied, as nobody tells its writer to open another: what is written in that instant is lost (logrotate's
 * copytruncate). That works because its writers append.
 */
export async function pruneLogs(
  config: Config,
  { clock, log }: System,
  { dryRun, onlyRemove = false }: { readonly dryRun: boolean; readonly onlyRemove?: boolean },
): Promise<LogsPruned> {
  const current = await serverLogFile(config);
  const folder = dirname(current);
  const { maxAge, maxSize } = config.maintenance.logs;
  const policy = { maxAgeMs: durationMs(maxAge), maxSizeBytes: sizeBytes(maxSize), nowMs: clock.now().getTime() };
  const planned = planLogs(await logsIn(folder, new Set([basename(current), 'dbkit.log'])), policy);
  const decisions = onlyRemove ? planned.filter(({ action }) => action !== 'rotate') : planned;
  for (const { name, action, because } of dryRun ? [] : decisions) {
    const path = join(folder, name);
    if (action === 'remove') await rm(path, { force: true });
    if (action === 'rotate') {
      await copyFile(
        path,
        `${path}.${clock
          .now()
          .toISOString()
          .replace(/[-:]|\.\d+/g, '')}`,
      );
      await truncate(path);
    }
    if (action !== 'keep') log.info('log.pruned', `${action === 'remove' ? 'removed' : 'began anew'} ${path}: ${because}`, { path });
  }
  return { folder, decisions };
}

async function logsIn(folder: string, current: ReadonlySet<string>): Promise<LogFile[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT') return [];
    throw cause;
  });
  const files = names
    .filter((name) => isLog.test(name))
    .map(async (name): Promise<LogFile[]> => {
      const found = await stat(join(folder, name)).catch(() => undefined); // Rotated away meanwhile.
      return found?.isFile() ? [{ name, sizeBytes: found.size, modifiedMs: found.mtimeMs, isCurrent: current.has(name) }] : [];
    });
  return (await Promise.all(files)).flat();
}
