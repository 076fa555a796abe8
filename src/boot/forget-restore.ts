import { join } from 'node:path';
import { withoutRecoverySettings } from '../backups/base/recovery-setup.ts';
import type { Local } from '../instance/local.ts';
import { present } from '../instance/volume.ts';
import { readPlainText } from '../machine/plain-file.ts';

/** A restore that has come up needs its recovery settings no more; left behind they would steer the next one. */
export async function forgetRestore({ owner, system }: Pick<Local, 'owner' | 'system'>, dataDir: string): Promise<void> {
  const path = join(dataDir, 'postgresql.auto.conf');
  const text = await readPlainText(path).catch(() => '');
  const rest = withoutRecoverySettings(text);
  if (rest !== text && !(await present(join(dataDir, 'recovery.signal')))) await system.files.write(path, rest, { mode: 0o600, owner });
}
