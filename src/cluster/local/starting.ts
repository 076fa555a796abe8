import { localPlan } from './local-plan.ts';
import { localFolder, readLocal } from './local-state.ts';
import { findPrograms } from './programs.ts';
import { canBeRunBy, type Starting } from './start.ts';
import type { LocalNeeds } from './up.ts';

/** Everything that the programs of the local cluster are started with, as it was made. It must be there. */
export async function startingOf(
  needs: LocalNeeds,
  { program, backups }: { readonly program: readonly string[]; readonly backups: boolean },
  signal: AbortSignal,
): Promise<Starting> {
  const folder = localFolder(needs.config);
  const state = (await readLocal(needs.files, folder))!;
  const programs = await findPrograms(needs.config, needs.runner, signal);
  const owner = await needs.instance.owner();
  const hasBackups = backups && (await canBeRunBy(owner, program));
  const plan = localPlan({ folder, ...programs, ...state, program: hasBackups ? program : undefined }, needs.config);
  return { folder, plan, programs, state, program, owner };
}
