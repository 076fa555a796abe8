import type { Backups } from '../../backups/backup.ts';
import type { Config } from '../../config/config.ts';
import { readControl } from '../../inspection/state.ts';
import { errnoOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { counted } from '../../kernel/units.ts';
import { openDamage } from '../../recovery/way-back.ts';
import { skipped } from '../health.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';

/** Damage that was found once, and neither mended nor accepted since: the server says nothing about it, and backups lack it too. */
export function damageProbe(
  { postgresql: { dataDir }, stateDir }: Pick<Config, 'postgresql' | 'stateDir'>,
  backups: readonly Backups[],
  system: System,
): ProbeOf<'damage'> {
  const look = async (signal: AbortSignal): Promise<ResultOf<'damage'>> => {
    const read = readControl(dataDir);
    if (!('control' in read)) return skipped(`pg_control of ${dataDir} cannot be read`);
    const open = await openDamage({ dataDir, stateDir }, backups, system, signal);
    const [first] = open;
    if (first === undefined) return { status: 'ok', summary: 'no damage is known', data: { damaged: [] } };
    const more = open.length === 1 ? '' : `, and ${counted(open.length - 1, 'damaged file')} more`;
    return {
      status: open.some(({ severity }) => severity === 'certain') ? 'critical' : 'warning',
      summary: `damaged and not mended: ${first.evidence}${more}`,
      hint: first.wayBack,
      data: { damaged: open },
    };
  };
  return {
    name: 'damage',
    title: 'damage that is known and not mended',
    async check(signal) {
      try {
        return await look(signal);
      } catch (cause) {
        if (errnoOf(cause) === 'EACCES' || errnoOf(cause) === 'EPERM') return skipped(`this user may not read ${dataDir}`);
        throw cause;
      }
    },
  };
}
