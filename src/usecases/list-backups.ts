import type { App } from '../core/app.ts';
import type { Backup } from '../core/backups.ts';

/** Every backup of every engine, newest first. */
export async function listBackups(
  { engines }: Pick<App, 'engines'>,
  signal: AbortSignal,
): Promise<{ readonly backups: readonly Backup[] }> {
  const lists = await Promise.all(engines.map((engine) => engine.list(signal)));
  return { backups: lists.flat().sort((a, b) => b.createdAt.localeCompare(a.createdAt)) };
}
