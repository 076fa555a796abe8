import { nearest } from '../kernel/closest-name.ts';
import { DbkitError } from '../kernel/errors.ts';
import { newestFirst } from '../kernel/labels.ts';
import type { Backup, BackupEngine } from './backup.ts';

export interface FoundBackup {
  readonly backup: Backup;
  readonly engine: BackupEngine;
}

/** The backup of that label; 'latest' is the newest base backup that is not damaged. Rejects with `backup.missing` and what to type instead. */
export async function findBackup(
  { engines }: { readonly engines: readonly BackupEngine[] },
  label: string,
  signal: AbortSignal,
): Promise<FoundBackup> {
  const lists = await Promise.all(engines.map(async (engine) => (await engine.list(signal)).map((backup) => ({ backup, engine }))));
  const all = lists.flat().sort((a, b) => newestFirst(a.backup, b.backup));
  const found =
    label === 'latest'
      ? all.find(({ backup }) => backup.state !== 'damaged' && backup.kind === 'physical')
      : all.find(({ backup }) => backup.label === label);
  if (found) return found;
  if (all.length === 0) throw new DbkitError('backup.missing', 'there is no backup yet', { hint: '`dbkit backup create` takes one' });
  if (label === 'latest') {
    throw new DbkitError('backup.missing', `none of the ${all.length} backups is good`, {
      hint: '`dbkit backup list` shows them, `dbkit backup create` takes a new one',
    });
  }
  const close = nearest(
    label,
    all.map(({ backup }) => backup.label),
  );
  throw new DbkitError('backup.missing', `there is no backup ${label}${close ? `; did you mean ${close}?` : ''}`, {
    hint: '`dbkit backup list` shows what there is; `latest` is the newest good one',
  });
}
