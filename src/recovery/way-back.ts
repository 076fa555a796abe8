import type { Backup, Backups } from '../backups/backup.ts';
import { newestGoodBackup } from '../backups/find-baseline.ts';
import { damageMemory, type KnownDamage, type MemoryPlaces } from '../inspection/known-damage.ts';
import { readControl } from '../inspection/state.ts';
import type { System } from '../kernel/machine.ts';

/** Damage that is neither mended nor accepted, and what to type for it. */
export interface OpenDamage extends KnownDamage {
  readonly wayBack: string;
}

/** None where pg_control cannot be read: then nothing is known of this data. */
export async function openDamage(
  places: MemoryPlaces,
  backups: readonly Backups[],
  system: Pick<System, 'files' | 'clock'>,
  signal: AbortSignal,
): Promise<readonly OpenDamage[]> {
  const read = readControl(places.dataDir);
  if (!('control' in read)) return [];
  const { systemIdentifier } = read.control;
  const open = await damageMemory(places, system).open(systemIdentifier);
  const good = open.length > 0 ? await newestGoodBackup(backups, systemIdentifier, signal) : undefined;
  return open.map((damage) => ({ ...damage, wayBack: wayBack(damage, good) }));
}

/** One sentence: what to type to bring damaged rows back, or to give them up. `good`: the newest backup of data that was whole; undefined: none. */
export function wayBack({ database, relation }: KnownDamage, good: Pick<Backup, 'label'> | undefined): string {
  const giveUp = '`dbkit recover accept` gives up what is lost';
  if (good === undefined) return `no good backup holds it: \`dbkit salvage\` reads what can still be read; ${giveUp}`;
  const table =
    database === undefined || relation === undefined
      ? ''
      : ` --table ${plain(relation, 'TABLE')} --database ${plain(database, 'DATABASE')}`;
  return `\`dbkit backup restore ${good.label}${table}\` brings it back as it was then; ${giveUp}`;
}

/** A name that a shell would not read as it stands is left to the person: what damaged it also names it. */
const plain = (name: string, placeholder: string): string => (/^[\w.]+$/.test(name) ? name : placeholder);
