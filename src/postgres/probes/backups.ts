import { access, constants } from 'node:fs/promises';
import type { Backup, BackupEngine } from '../../core/backups.ts';
import type { Config } from '../../core/config.ts';
import type { Clock, Probe, ProbeResult } from '../../core/contracts.ts';
import { errnoOf } from '../../core/errors.ts';
import { roughly } from '../../core/figures.ts';
import { judge, skipped } from '../../core/health.ts';

/** How old the newest good backup is, and how far it was proven. */
export function backupsProbe({ health: { backupAge }, backupDir }: Config, engines: readonly BackupEngine[], clock: Clock): Probe {
  return {
    name: 'backups',
    title: 'age of the newest good one',
    async check(signal): Promise<ProbeResult> {
      const denied = await access(backupDir, constants.R_OK | constants.X_OK).then(
        () => false,
        (cause: unknown) => errnoOf(cause) !== 'ENOENT',
      );
      if (denied) return skipped(`this user may not look into the repository ${backupDir}`);
      const all = (await Promise.all(engines.map((engine) => engine.list(signal))))
        .flat()
        .sort((a, b) => b.createdAt.localeCompare(a.createdAt));
      const good = all.find(({ state }) => state !== 'damaged');
      const take = '`dbkit maintenance backup` takes one';
      if (!good) {
        const summary = all.length === 0 ? 'there is no backup' : `no good backup: all ${all.length} are of damaged data`;
        return { status: all.length === 0 ? 'warning' : 'critical', summary, hint: take, data: { backups: all.length } };
      }
      const ageOf = ({ createdAt }: Backup): number => Math.max(0, (clock.now().getTime() - Date.parse(createdAt)) / 1000);
      const proven = all.find(({ state }) => state === 'proven');
      const status = judge(ageOf(good) / 3600, backupAge);
      const newest = all[0]!;
      return {
        status: status === 'ok' && newest !== good ? 'warning' : status,
        summary: `${good.label} is ${roughly(ageOf(good))} old, ${good.state}; ${proven ? `last proven ${roughly(ageOf(proven))} ago` : 'none was proven by a restore'}${newest === good ? '' : '; the newest is of damaged data'}`,
        hint: newest !== good ? '`dbkit inspect --deep` names the damaged files' : status === 'ok' ? undefined : take,
        data: {
          label: good.label,
          state: good.state,
          ageSeconds: Math.round(ageOf(good)),
          proven: proven?.label ?? null,
          backups: all.length,
        },
      };
    },
  };
}
