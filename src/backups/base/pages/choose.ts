import { constants, copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { type BytePath, fromText, join, toBytes, toText } from '../../../formats/byte-path.ts';
import { fill } from '../../../kernel/reasons.ts';
import { sizeBytes as toSizeBytes } from '../../../kernel/units.ts';
import type { Against } from '../../copy-file.ts';
import type { BackupRun } from '../begin-copy.ts';
import { holdersAmong } from './holders.ts';
import { journalsIn } from './journal.ts';
import { PAGES, whereaboutsIn } from './packed.ts';
import { chooseStrategy, type StrategyFacts } from './strategy.ts';

/** Says what a file that changed is compared with; undefined: it is copied whole. Asked once for each file. */
export type Choose = (path: BytePath, sizeBytes: number) => Against | undefined;

export const alwaysWhole: Choose = () => undefined;

/** Under the repository's lock, with the staging directory made. */
export async function openChooser(
  { earlier, repository, staging, config, system }: Pick<BackupRun, 'earlier' | 'repository' | 'staging' | 'config' | 'system'>,
  signal: AbortSignal,
): Promise<Choose> {
  if (earlier === undefined || !config.backup.pages) return alwaysWhole;
  if ((await journalsIn(dirname(toText(staging)), system)).length > 0) return alwaysWhole; // An earlier takeover is not ended yet: one at a time.
  const root = fromText(repository.pathOf(earlier.label));
  const whereabouts = whereaboutsIn(earlier, root);
  const holdersOf = holdersAmong(await repository.records(signal), repository.pathOf);
  const sharesBlocks = canClone(join(root, fromText('backup_manifest')), join(staging, fromText('.clone')));
  const isGood = (await repository.openDamage(signal)).length === 0;
  const folder = join(staging, PAGES);
  const fromBytes = toSizeBytes(config.backup.pagesFrom);
  let number = 0;
  return (path, sizeBytes) => {
    const { from, layers } = whereabouts(path);
    const held = layers === undefined && sizeBytes >= fromBytes ? holdersOf(earlier.label, path) : undefined; // Each backup is asked for it.
    const facts: StrategyFacts = {
      sizeBytes,
      fromBytes,
      hasEarlier: held?.labels.includes(earlier.label) ?? false,
      sharesBlocks,
      isGood,
      pinned: held?.pinned ?? '',
      links: held?.links ?? 0,
      ours: held?.labels.length ?? 0,
      knowsReaders: true,
      reader: '',
    };
    const { id, then: how, words } = chooseStrategy(facts);
    if (id !== 'small-file')
      system.log.debug('backup.pages', `${toText(path)}: ${fill(words, { ...facts })}`, { path: toText(path), reason: id, how });
    if (how === 'whole') return undefined;
    if (how === 'clone') return { how, earlier: from };
    number += 1;
    if (number === 1) mkdirSync(toBytes(folder), { mode: 0o700 });
    return { how, number, earlier: from, old: oldPages(staging, number), fresh: freshBytes(staging, number) };
  };
}

/** In the staged backup: the pages that a file had, and what is to be written into it. */
export const oldPages = (staging: BytePath, number: number): BytePath => join(staging, PAGES, fromText(`${number}.old`));
export const freshBytes = (staging: BytePath, number: number): BytePath => join(staging, PAGES, fromText(`${number}.new`));

function canClone(from: BytePath, to: BytePath): boolean {
  try {
    copyFileSync(toBytes(from), toBytes(to), constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(toBytes(to), { force: true });
  }
}
