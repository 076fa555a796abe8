import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseControlFile } from '../formats/control-file.ts';
import { readPlain } from '../machine/plain-file.ts';
import type { ControlTarget } from './requests.ts';

/** The data of this configuration, as far as this user can see it. Looked up anew each time: a restore changes it. */
export async function controlTarget(dataDir: string): Promise<ControlTarget> {
  const path = await realpath(dataDir).catch(() => resolve(dataDir));
  const bytes = await readPlain(join(path, 'global/pg_control')).catch(() => undefined); // Nobody may look: then the path alone must do.
  const read = bytes && parseControlFile(bytes);
  return { dataDir: path, systemIdentifier: read && 'control' in read ? read.control.systemIdentifier : null };
}
