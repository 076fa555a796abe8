import { nearest } from '../kernel/closest-name.ts';
import { DbkitError } from '../kernel/errors.ts';
import { newestFirst } from '../kernel/labels.ts';
import { type Backups, type BaseBackups, type Dumps, type FoundBackup, isGood } from './backup.ts';
import { refuse } from './engine-refusals.ts';

/** Every backup of every kind, newest first. */
export async function everyBackup({ backups }: { readonly backups: readonly Backups[] }, signal: AbortSignal): Promise<FoundBackup[]> {
  const lists = await Promise.all(
    backups.map(async (of) => (await of.repository.list(signal)).map((backup): FoundBackup => ({ backup, of }))),
  );
  return lists.flat().sort((a, b) => newestFirst(a.backup, b.backup));
}

/** The backup of that label; 'latest' is the newest base backup that is not damaged. Rejects with `backup.missing` and what to type instead. */
export async function findBackup(app: { readonly backups: readonly Backups[] }, label: string, signal: AbortSignal): Promise<FoundBackup> {
  const all = await everyBackup(app, signal);
  const found =
    label === 'latest'
      ? all.find(({ backup, of }) => isGood(backup) && of.kind === 'physical')
      : all.find(({ backup }) => backup.label === label);
  if (found) return found;
  if (all.length === 0) throw new DbkitError('backup.missing', 'there is no backup yet', { hint: '`dbkit backup create` takes one' });
  if (label === 'latest') throw noLatest(all);
  const close = nearest(
    label,
    all.map(({ backup }) => backup.label),
  );
  throw new DbkitError('backup.missing', `there is no backup ${label}${close ? `; did you mean ${close}?` : ''}`, {
    hint: '`dbkit backup list` shows what there is; `latest` is the newest good base backup',
  });
}

function noLatest(all: readonly FoundBackup[]): DbkitError {
  const dump = all.find(({ backup, of }) => of.kind === 'logical' && backup.state !== 'damaged');
  if (dump)
    return new DbkitError('backup.missing', 'there is no good base backup, and `latest` means one', {
      hint: `the newest good dump is ${dump.backup.label}: name it; \`dbkit backup create\` takes a base backup`,
    });
  return new DbkitError('backup.missing', `none of the ${all.length} backups is good`, {
    hint: '`dbkit backup list` shows them, `dbkit backup create` takes a new one',
  });
}

/** Rejects with `usage.invalid` for dumps, which are no data directories. */
export function requireBase({ backup, of }: FoundBackup): FoundBackup<BaseBackups> {
  if (of.kind === 'physical') return { backup, of };
  throw new DbkitError('usage.invalid', `${backup.label} is a dump: there are no files to start a server on`, {
    hint: `\`dbkit backup restore ${backup.label}\` loads it into the running server; \`dbkit backup list\` shows the base backups`,
  });
}

/** Throws `usage.invalid` for those in pgBackRest's repository, which dbkit copies nowhere. */
export function requireOwn(found: FoundBackup): FoundBackup {
  if (found.of.name === 'pgbackrest') throw refuse('pgbackrest-is-its-own-copy');
  return found;
}

/** Rejects with `usage.invalid` for base backups. */
export function requireDump({ backup, of }: FoundBackup): FoundBackup<Dumps> {
  if (of.kind === 'logical') return { backup, of };
  throw new DbkitError('usage.invalid', `${backup.label} is not a dump`, { hint: '`dbkit backup restore` restores a base backup' });
}
