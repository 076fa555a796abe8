import type { App } from '../core/app.ts';
import type { Backup } from '../core/contracts.ts';
import { DbkitError } from '../core/errors.ts';

/** Takes one base backup with the first engine. */
export async function takeBackup({ engines }: Pick<App, 'engines'>, signal: AbortSignal): Promise<Backup> {
  const engine = engines[0];
  if (!engine) throw new DbkitError('usage.invalid', 'no service here can be backed up');
  return engine.backup(signal);
}
