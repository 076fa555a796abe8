import type { SecretPlace } from '../../alerts/channel.ts';
import { copyStandings } from '../../backups/offsite/standing.ts';
import type { Config } from '../../config/config.ts';
import { levelsWithin, tiers } from '../../config/tiers.ts';
import { errnoOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { judgeCopies } from './judge-copies.ts';

/** The copies elsewhere, by what this machine has noted of them: no place is asked. Absent where there are none. */
export function copiesProbes(
  config: Config,
  { files, clock }: Pick<System, 'files' | 'clock'>,
  reveal: (place: SecretPlace) => Promise<string>,
): readonly ProbeOf<'copies'>[] {
  if (Object.keys(config.copies).length === 0) return [];
  const { health, tier } = config;
  const limits = {
    copyAge: health.copyAge,
    walDelay: levelsWithin(health.archiveDelay, tier),
    rpoSeconds: tier === undefined ? null : tiers[tier].rpoSeconds,
  };
  const check = async (signal: AbortSignal): Promise<ResultOf<'copies'>> => {
    try {
      return judgeCopies(await copyStandings({ config, files, clock, reveal }, signal), limits, clock.now());
    } catch (cause) {
      if (errnoOf(cause) !== 'EACCES') throw cause;
      return skipped('this user may not read the notes on the copies');
    }
  };
  return [{ name: 'copies', title: 'backups elsewhere, and their keys', check }];
}
