import { clusterEntries } from '../../instance/volume.ts';
import type { System } from '../../kernel/machine.ts';
import { namesIn } from '../../machine/is-there.ts';
import { type AsideWish, moveAside, newAside } from '../member/set-aside-member.ts';
import type { RestoreJournal } from './journal.ts';

export interface NotedWish extends AsideWish {
  readonly member: string;
}

/**
 * Sets one member's data aside. Where it goes is noted (`keep`) before the first entry does, so a run that was killed is gone on with in the same folder.
 * Half of a copy, or whatever else has come into the data directory since, gets a folder of its own. Resolves with the journal as it was kept last.
 */
export async function setAsideNoted(
  begun: RestoreJournal,
  wish: NotedWish,
  keep: (journal: RestoreJournal) => Promise<void>,
  system: Pick<System, 'files' | 'clock' | 'reached'>,
): Promise<RestoreJournal> {
  const { member, dataDir } = wish;
  const note = async (journal: RestoreJournal, path: string, isWhole: boolean): Promise<RestoreJournal> => {
    const aside = [...journal.aside.filter((one) => one.path !== path), { member, path, isWhole }];
    const oldData = member === journal.first ? (journal.oldData ?? path) : journal.oldData;
    const noted = { ...journal, aside, oldData };
    await keep(noted);
    return noted;
  };
  const names = await clusterEntries(dataDir);
  const half = begun.aside.find((one) => one.member === member && !one.isWhole);
  const isGoneOn = half !== undefined && names.length > 0 && !(await holdsOneOf(half.path, names));
  const journal = half === undefined || isGoneOn ? begun : await note(begun, half.path, true); // Its last entry had gone there, and the run was killed before it could say so.
  if (names.length === 0) return journal;
  const path = isGoneOn ? half.path : await newAside(wish, system);
  const noted = await note(journal, path, false);
  await moveAside(dataDir, path, system);
  return note(noted, path, true);
}

async function holdsOneOf(folder: string, names: readonly string[]): Promise<boolean> {
  const there = new Set(await namesIn(folder));
  return names.some((name) => there.has(name));
}
