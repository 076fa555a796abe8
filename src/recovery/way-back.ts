import type { Backup } from '../backups/backup.ts';
import type { KnownDamage } from '../inspection/known-damage.ts';

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
