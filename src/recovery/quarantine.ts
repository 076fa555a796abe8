import { join } from 'node:path';
import type { Local } from '../instance/local.ts';
import { present, quarantineRoot } from '../instance/volume.ts';
import { makeLabel } from '../kernel/labels.ts';

/** A new label in the quarantine; waits out the second if one is taken. */
export async function newQuarantine(local: Local, kind: 'corrupt' | 'replaced'): Promise<string> {
  const root = await quarantineRoot(local.volume, local.backupDir, local.owner, local.system.files);
  for (;;) {
    const path = join(root, makeLabel(kind, local.system.clock.now()));
    if (!(await present(path))) return path;
    await local.system.clock.sleep(200, new AbortController().signal);
  }
}
