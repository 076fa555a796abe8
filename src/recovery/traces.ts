import { join } from 'node:path';
import type { Backups } from '../backups/backup.ts';
import type { Local } from '../instance/local.ts';
import { present, quarantineRoots } from '../instance/volume.ts';
import { parseLabel } from '../kernel/labels.ts';
import { namesIn } from '../machine/is-there.ts';

/** The traces of a server that has been ready in the state folder (rememberStarted, writeInventory): a first boot has none of it. */
const traces = ['started', 'kept', 'inventory.json'];

/**
 * True when the state folder or the repository tells of an instance that was here: then an empty directory is no first boot. Rejects with what a disk
 * says that does not answer: nothing is initialised on that.
 */
export async function isKnown({ stateDir, volume, backupDir }: Local, backups: readonly Backups[], signal: AbortSignal): Promise<boolean> {
  for (const name of traces) if (await present(join(stateDir, name))) return true;
  for (const root of quarantineRoots(volume.dataDir, backupDir)) {
    const names = await namesIn(root);
    if (names.some((name) => ['corrupt', 'replaced'].includes(parseLabel(name)?.kind ?? ''))) return true;
  }
  for (const { repository } of backups) if ((await repository.list(signal)).length > 0) return true;
  return false;
}
