import type { SecretPlace } from '../../alerts/channel.ts';
import type { Config } from '../../config/config.ts';
import type { Files } from '../../kernel/machine.ts';
import { checkKeys, type KeyCheck } from './check-keys.ts';
import { type CopyNotes, readNotes } from './notes.ts';

/** One copy, by what this machine has noted of it; nobody asks the place. */
export interface CopyStanding {
  readonly name: string;
  readonly notes: CopyNotes;
  readonly key: Pick<KeyCheck, 'state' | 'problem'>;
}

export interface StandingNeeds {
  readonly config: Pick<Config, 'copies' | 'stateDir'>;
  readonly files: Pick<Files, 'readJson'>;
  reveal(place: SecretPlace): Promise<string>;
}

/** Of every configured copy, with a proof that the configured identity opens what is encrypted for it. */
export async function copyStandings({ config, files, reveal }: StandingNeeds): Promise<readonly CopyStanding[]> {
  const keys = await checkKeys({ config, reveal }, undefined);
  return Promise.all(
    Object.entries(config.copies).map(async ([name, settings], index): Promise<CopyStanding> => {
      const { state, problem } = keys[index]!;
      return { name, notes: await readNotes(config.stateDir, name, settings, files), key: { state, problem } };
    }),
  );
}
