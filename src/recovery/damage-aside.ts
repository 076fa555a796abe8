import { join } from 'node:path';
import { damageMemory, type KnownDamage, toKnownDamage } from '../inspection/known-damage.ts';
import { readControl } from '../inspection/state.ts';
import type { Local } from '../instance/local.ts';
import { present } from '../instance/volume.ts';
import type { Journal } from './journal.ts';
import type { PlannedStep } from './plan.ts';

/** The damage of the data that is about to be set aside: what was known of it, and what asks for other bytes now. It goes where the data goes. */
export async function damageThatGoes(
  { volume: { dataDir }, stateDir, system }: Local,
  systemIdentifier: string | null,
  steps: readonly PlannedStep[],
): Promise<Journal['damage']> {
  if (systemIdentifier === null) return undefined;
  const since = system.clock.now().toISOString();
  const known = await damageMemory({ dataDir, stateDir }, system).open(systemIdentifier);
  const found = steps
    .filter(({ finding, remedy }) => (remedy.then === 'serve' || remedy.then === 'replace') && finding.severity !== 'info')
    .map(({ finding }) => toKnownDamage(finding, since))
    .filter(({ path }) => !known.some((entry) => entry.path === path));
  return { systemIdentifier, entries: [...known, ...found] };
}

/** The damage of data that was set aside and is brought back by a person; undefined where none was written down. */
export async function damageThatReturns(
  quarantine: string,
  { system }: Pick<Local, 'system'>,
): Promise<readonly KnownDamage[] | undefined> {
  const read = readControl(quarantine);
  if (!('control' in read)) return undefined;
  const undoneAt = system.clock.now().toISOString();
  const entries = await damageMemory({ dataDir: quarantine, stateDir: undefined }, system).open(read.control.systemIdentifier);
  if (entries.length === 0 && !(await present(join(quarantine, '.dbkit')))) return undefined; // Set aside by a version that did not say.
  return entries.map((entry) => ({ ...entry, severity: 'certain', undoneAt }));
}
