import { copyFile, lstat, rm, stat, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { serverLogFile } from '../instance/server-log-file.ts';
import type { System } from '../kernel/machine.ts';
import { durationMs, sizeBytes } from '../kernel/units.ts';
import { namesIn } from '../machine/is-there.ts';
import type { LogsPruned } from './contract.ts';
import { type LogFile, planLogs } from './log-retention.ts';

const DATE = String.raw`\d{4}-?\d{2}-?\d{2}([_T-]?\d{4,6})?`;

/**
 * The logs of this very instance, by the name that it logs under now, and dbkit's own, with what rotation makes of both: in a LOG_DIR that others
 * share, postgresql-16-main.log is none of postgresql-15-main's business. Pure.
 */
export function isOwnLog(current: string): (name: string) => boolean {
  const stem = current.replace(/\.(log|csv|json)$/, '').replace(new RegExp(`[-_.]?${DATE}$`), '');
  const quoted = stem.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const own = new RegExp(`^(${quoted}|dbkit)([-_.]?${DATE})?\\.(log|csv|json)(\\.[\\w-]+)*$`);
  return (name) => own.test(name);
}

/**
 * Removes old logs of the server and of dbkit from the folder where the server logs now, by age and by size. One that is written to and has
 * grown too large is copied and emptied, as nobody tells its writer to open another: what is written in that instant is lost (logrotate's
 * copytruncate). That works because its writers append.
 */
export async function pruneLogs(
  config: Config,
  { clock, log, self }: System,
  { dryRun, onlyRemove = false }: { readonly dryRun: boolean; readonly onlyRemove?: boolean },
): Promise<LogsPruned> {
  const current = await serverLogFile(config);
  const folder = dirname(current);
  const { maxAge, maxSize } = config.maintenance.logs;
  const policy = { maxAgeMs: durationMs(maxAge), maxSizeBytes: sizeBytes(maxSize), nowMs: clock.now().getTime() };
  const owners = new Set([self.uid, process.geteuid?.(), (await stat(current).catch(() => undefined))?.uid]);
  const planned = planLogs(
    (await logsIn(folder, current)).filter(({ uid }) => owners.has(uid)),
    policy,
  );
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
    if (action !== 'keep') log.info('log.pruned', `${action === 'remove' ? 'removed' : 'rotated'} ${path}: ${because}`, { path });
  }
  return { folder, decisions };
}

async function logsIn(folder: string, current: string): Promise<(LogFile & { readonly uid: number })[]> {
  const isOwn = isOwnLog(basename(current));
  const names = await namesIn(folder);
  const files = names.filter(isOwn).map(async (name): Promise<(LogFile & { readonly uid: number })[]> => {
    const found = await lstat(join(folder, name)).catch(() => undefined); // Rotated away meanwhile.
    return found?.isFile()
      ? [
          {
            name,
            sizeBytes: found.size,
            modifiedMs: found.mtimeMs,
            isCurrent: name === basename(current) || name === 'dbkit.log',
            uid: found.uid,
          },
        ]
      : [];
  });
  return (await Promise.all(files)).flat();
}
