import { join } from 'node:path';
import { memberSettings, type PatroniSettings } from '../../config/ha-settings.ts';
import { DbkitError } from '../../kernel/errors.ts';
import { type Reach, reach } from '../look.ts';
import { type MemberFile, readMemberFile } from '../member/member-file.ts';
import { restoreFolder } from '../member/restore-file.ts';
import { type Begun, begin } from './begin-here.ts';
import { asideHere, goOn } from './go-on-here.ts';
import { type RestoreJournal, readJournal } from './journal.ts';
import type { ClusterRestore, RestoringNeeds, RestoringWish } from './restore-local.ts';

/** This machine, one of the cluster's. */
export interface Here {
  readonly needs: RestoringNeeds;
  readonly settings: PatroniSettings;
  readonly file: MemberFile;
  readonly reached: Reach;
  readonly folder: string;
}

/**
 * The part of this machine in a restore of a cluster whose other members are on machines of their own, which dbkit cannot stop: each call does what can
 * be done by then, and says what is to be typed where before the next one. Rejects with `recovery.refused` while a member still runs, and
 * `usage.invalid` on a machine without one.
 */
export async function restoreHere(
  needs: RestoringNeeds,
  wish: RestoringWish,
  ask: Begun['ask'],
  signal: AbortSignal,
): Promise<ClusterRestore> {
  const { config, files } = needs;
  const settings = memberSettings(config);
  if (settings === undefined)
    throw new DbkitError('usage.invalid', 'this machine runs no member of the cluster (services.patroni)', {
      hint: 'type it on the machine of the member that shall lead first; nothing was changed',
    });
  const folder = restoreFolder(config);
  const file = await readMemberFile(settings.config, wish.environment);
  const here: Here = { needs, settings, file, reached: await reach(needs), folder };
  await files.makeDirectory(folder, { mode: 0o700, owner: await needs.instance.owner() });
  const lock = await needs.locks.acquire(join(folder, 'lock'), 'dbkit ha restore');
  try {
    if (wish.aside) return await asideHere(here, signal);
    const journal = await readJournal(files, folder);
    if (journal === undefined || journal.phase === 'down' || wish.dryRun) return await begin(here, { journal, wish, ask }, signal);
    return await goOn(here, journal, signal);
  } finally {
    await lock.release();
  }
}

/** Where the restore stands, and what a person types next. */
export const reportOf = (
  { file, reached }: Here,
  { plan, aside }: Pick<RestoreJournal, 'plan' | 'aside'>,
  over: Partial<ClusterRestore>,
): ClusterRestore => ({
  done: false,
  resumed: false,
  plan,
  first: file.name,
  others: reached.members.map(({ name }) => name).filter((name) => name !== file.name),
  aside: aside.map(({ member, path }) => ({ member, path })),
  proof: null,
  next: [],
  seconds: 0,
  ...over,
});
