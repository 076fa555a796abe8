import { lstat, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { unlessMissing } from '../../kernel/errors.ts';

/** The folder of a restore on a member's machine, in its state folder. */
export const restoreFolder = ({ stateDir }: Pick<Config, 'stateDir'>): string => join(stateDir, 'ha-restore');

/** patroni.yml of the member that is made first, in place of its own until it leads. */
export const restoreFile = (config: Pick<Config, 'stateDir'>): string => join(restoreFolder(config), 'patroni.yml');

/** The file to start Patroni with: its own, unless a restore of the cluster has put another in its place. */
export async function fileForPatroni(config: Pick<Config, 'stateDir'>, own: string): Promise<string> {
  const path = restoreFile(config);
  const found = await lstat(path).catch(unlessMissing);
  if (found?.isSymbolicLink()) await rm(path); // The restore is over, and so is the Patroni that read its own file through it.
  return found?.isFile() ? path : own;
}

/** The member leads: the Patroni that runs reads its own file again when it is told to reload. */
export async function giveBackFile(config: Pick<Config, 'stateDir'>, own: string): Promise<void> {
  const path = restoreFile(config);
  await rm(path, { force: true });
  await symlink(own, path);
}
