import { findingCodes } from '../inspection/findings.ts';
import type { KnownDamage } from '../inspection/known-damage.ts';
import { fewOfEach } from '../kernel/few-of-each.ts';
import type { System } from '../kernel/machine.ts';

/** How one of them is told, and one of many: what to type ends the sentence. */
export interface DamageWords {
  readonly code: string;
  /** Begins the line of one. */
  readonly begins: string;
  wayBack(damage: KnownDamage): string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

const NAMED = 3;

/** An error line for each file, or of many of one kind for the first few and for all others together. */
export function tellDamage(
  { log }: Pick<System, 'log'>,
  damage: readonly KnownDamage[],
  { code, begins, wayBack, fields }: DamageWords,
): void {
  for (const shown of fewOfEach(damage, ({ code, database = '' }) => `${code} ${database}`)) {
    if ('item' in shown) {
      const { evidence, path, since } = shown.item;
      log.error(code, `${begins}: ${evidence}; ${wayBack(shown.item)}`, { path, since, ...fields });
      continue;
    }
    const [first] = shown.more;
    const where = first.database === undefined ? '' : ` of database ${first.database}`;
    const names = shown.more.slice(0, NAMED).map(({ relation, path }) => relation ?? path);
    const words = `${begins}: ${shown.more.length} more files${where} (${findingCodes[first.code]}: ${names.join(', ')} …); ${wayBack({ ...first, relation: undefined })}`;
    log.error(code, `${words}; \`dbkit health --json\` names each`, { files: shown.more.length, ...fields });
  }
}
