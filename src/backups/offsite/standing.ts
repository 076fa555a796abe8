import type { SecretPlace } from '../../alerts/channel.ts';
import type { Config } from '../../config/config.ts';
import type { Clock, Files } from '../../kernel/machine.ts';
import { openArchive } from '../../wal/archive.ts';
import { readKeeping } from '../../wal/keeping.ts';
import { type CopyOfWal, type CopyStatus, copyLag, endOf } from '../../wal/status.ts';
import { checkKeys, type KeyCheck } from './check-keys.ts';
import { type CopyNotes, readNotes } from './notes.ts';
import { copiesOfWal } from './wal-notes.ts';

/** One copy, by what this machine has noted of it; nobody asks the place. */
export interface CopyStanding {
  readonly name: string;
  readonly notes: CopyNotes;
  readonly key: Pick<KeyCheck, 'state' | 'problem'>;
  /** Undefined where no WAL is kept here, or it is sent with backups only. */
  readonly wal: (CopyOfWal & Pick<CopyStatus, 'lag'>) | undefined;
}

export interface StandingNeeds {
  readonly config: Pick<Config, 'copies' | 'stateDir' | 'backupDir'>;
  readonly files: Pick<Files, 'readJson' | 'write'>;
  readonly clock: Pick<Clock, 'now'>;
  reveal(place: SecretPlace): Promise<string>;
}

/** Of every configured copy, with a proof that the configured identity opens what is encrypted for it. */
export async function copyStandings(needs: StandingNeeds, signal: AbortSignal): Promise<readonly CopyStanding[]> {
  const { config, files, reveal } = needs;
  const keys = await checkKeys({ config, reveal }, undefined);
  const wal = await walStandings(needs, signal);
  return Promise.all(
    Object.entries(config.copies).map(async ([name, settings], index): Promise<CopyStanding> => {
      const { state, problem } = keys[index]!;
      const notes = await readNotes(config.stateDir, name, settings, files);
      return { name, notes, key: { state, problem }, wal: wal.find((one) => one.name === name) };
    }),
  );
}

/** How far each copy that gets WAL by itself is behind the archive here; none where nothing is kept, or was: then nobody sends either. */
export async function walStandings(
  { config, files, clock }: Omit<StandingNeeds, 'reveal'>,
  signal: AbortSignal,
): Promise<readonly NonNullable<CopyStanding['wal']>[]> {
  const keeping = await readKeeping(config.stateDir, files);
  if (keeping === undefined || keeping.state === 'stopped') return [];
  const { systemIdentifier } = keeping;
  const end = await endOf(await openArchive(config.backupDir, systemIdentifier, files).timelines(signal));
  const copies = await copiesOfWal(config, systemIdentifier, files);
  return copies.filter(({ isContinuous }) => isContinuous).map((copy) => ({ ...copy, lag: copyLag(copy, end, clock.now()) }));
}
