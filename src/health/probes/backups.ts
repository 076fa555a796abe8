import { access, constants } from 'node:fs/promises';
import { type Backup, type Backups, isGood } from '../../backups/backup.ts';
import { rehearsedSeconds } from '../../backups/drill.ts';
import type { Config } from '../../config/config.ts';
import type { Levels } from '../../config/health-settings.ts';
import { judgedBy, type Tier, tiers } from '../../config/tiers.ts';
import { errnoOf } from '../../kernel/errors.ts';
import { newestFirst } from '../../kernel/labels.ts';
import type { Clock } from '../../kernel/machine.ts';
import { roughly } from '../../kernel/units.ts';
import { judge, skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';

/** How old the newest good backup is, and how far it was proven. */
export function backupsProbe(
  { health: { backupAge }, backupDir, tier }: Config,
  kinds: readonly Backups[],
  clock: Clock,
): ProbeOf<'backups'> {
  return {
    name: 'backups',
    title: 'age of the newest good one',
    async check(signal): Promise<ResultOf<'backups'>> {
      const denied = await access(backupDir, constants.R_OK | constants.X_OK).then(
        () => false,
        (cause: unknown) => errnoOf(cause) !== 'ENOENT',
      );
      if (denied) return skipped(`this user may not look into the repository ${backupDir}`);
      const lists = await Promise.all(kinds.map(({ repository }) => repository.list(signal)));
      const all = lists.flat().sort(newestFirst);
      const secondsSince = (iso: string): number => (clock.now().getTime() - Date.parse(iso)) / 1000;
      return withinTier(judged(all, backupAge, secondsSince), rehearsedSeconds(all), tier);
    },
  };
}

/** A restore that takes longer than the tier allows is a warning: nothing is wrong yet. Pure. */
export function withinTier(result: ResultOf<'backups'>, restoreSeconds: number | null, tier: Tier | undefined): ResultOf<'backups'> {
  const rtoSeconds = tier === undefined ? null : tiers[tier].rtoSeconds;
  const { data } = result;
  const measured = data === undefined ? result : { ...result, data: { ...data, restoreSeconds, rtoSeconds } };
  if (judgedBy(restoreSeconds, rtoSeconds).met !== false) return measured;
  return {
    ...measured,
    status: result.status === 'ok' ? 'warning' : result.status,
    summary: `${result.summary}; a restore took ${roughly(restoreSeconds!)}, and the tier ${tier} allows ${roughly(rtoSeconds!)}`,
    hint: result.hint ?? 'back up more often (`backup.schedule`), so that less WAL is replayed, or choose another tier',
  };
}

const TAKE = '`dbkit backup create` takes one';

/** Two machines' clocks may differ; one that was years ahead must not hide for years that no backups are made. */
const AHEAD_SECONDS = 3600;

/** `listed`, newest first. The newest good one counts; that a newer one is of damaged data, or of the future, is a warning of its own. */
export function judged(listed: readonly Backup[], levels: Levels, sinceThen: (iso: string) => number): ResultOf<'backups'> {
  const secondsSince = (iso: string): number => Math.max(0, sinceThen(iso));
  const ahead = listed.filter(({ createdAt }) => sinceThen(createdAt) < -AHEAD_SECONDS);
  const past = listed.filter((backup) => !ahead.includes(backup));
  const result = judgedByAge(past.length > 0 ? past : listed, levels, secondsSince);
  const [wrong] = ahead;
  if (wrong === undefined) return result;
  return {
    ...result,
    status: result.status === 'ok' ? 'warning' : result.status,
    summary: `${result.summary}; ${wrong.label} is dated in the future, so it counts as the newest until then`,
    hint: result.hint ?? 'set the clock right; what is newest is chosen by these times: name the backup that you restore',
  };
}

function judgedByAge(all: readonly Backup[], levels: Levels, secondsSince: (iso: string) => number): ResultOf<'backups'> {
  const [newest] = all;
  if (newest === undefined) return { status: 'warning', summary: 'there is no backup', hint: TAKE, data: { backups: 0 } };
  const good = all.find(isGood);
  if (good === undefined) {
    const hint = '`dbkit inspect --deep` names the damaged files';
    return { status: 'critical', summary: `no good backup: all ${all.length} are of damaged data`, hint, data: { backups: all.length } };
  }
  const ageSeconds = secondsSince(good.createdAt);
  const proofs = all.flatMap(({ provenAt }) => (provenAt ? [secondsSince(provenAt)] : []));
  const proof = proofs.length > 0 ? `last proven by a restore ${roughly(Math.min(...proofs))} ago` : 'none was proven by a restore';
  const age = judge(ageSeconds / 3600, levels);
  const isDamaged = newest !== good;
  return {
    status: age === 'ok' && isDamaged ? 'warning' : age,
    summary: `${good.label} is ${roughly(ageSeconds)} old, ${good.state}; ${proof}${isDamaged ? `; ${newest.label} is of damaged data` : ''}`,
    hint: isDamaged ? '`dbkit inspect --deep` names the damaged files' : age === 'ok' ? undefined : TAKE,
    data: {
      label: good.label,
      state: good.state,
      ageSeconds: Math.round(ageSeconds),
      proofAgeSeconds: proofs.length > 0 ? Math.round(Math.min(...proofs)) : null,
      backups: all.length,
    },
  };
}
