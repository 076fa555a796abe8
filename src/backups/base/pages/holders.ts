import { type BigIntStats, lstatSync } from 'node:fs';
import { type BytePath, fromText, toBytes } from '../../../formats/byte-path.ts';
import { plainFolders } from '../../plain-folders.ts';
import { CONTROL, PACKED_CONTROL, type Packing, whereaboutsIn } from './packed.ts';

type Known = Packing & { readonly label: string; readonly pinned: boolean };

/** The backups that have one file, and how many links to it there are at all. */
export interface Held {
  readonly sizeBytes: number;
  readonly links: number;
  readonly labels: readonly string[];
  /** One of them that is pinned; '' where none is. */
  readonly pinned: string;
}

/** Which backups have a file of one of them in common, by its inode. `records`: of every backup that there is. */
export function holdersAmong(records: readonly Known[], pathOf: (label: string) => string) {
  const backups = records.map(({ label, pinned, packed }) => {
    const root = fromText(pathOf(label));
    return { label, pinned, at: whereaboutsIn({ packed }, root), mayChange: changeable(root) };
  });
  return (label: string, path: BytePath): Held | undefined => {
    const one = backups.find((backup) => backup.label === label);
    const file = one?.mayChange(path) ? statsOf(one.at(path).from) : undefined;
    if (!file?.isFile()) return undefined;
    const holders = backups.filter(({ at, mayChange }) => {
      if (!mayChange(path)) return false;
      const other = statsOf(at(path).from);
      return other?.ino === file.ino && other.dev === file.dev;
    });
    return {
      sizeBytes: Number(file.size),
      links: Number(file.nlink),
      labels: holders.map((holder) => holder.label),
      pinned: holders.find(({ pinned }) => pinned)?.label ?? '',
    };
  };
}

/** Says of a path that a takeover of it changes nothing outside of the backup. */
export function changeable(root: BytePath): (path: BytePath) => boolean {
  const isPlain = plainFolders(root);
  return (path) => isPlain(path) && isPlain(CONTROL) && isPlain(PACKED_CONTROL);
}

const statsOf = (path: BytePath | undefined): BigIntStats | undefined =>
  path === undefined ? undefined : lstatSync(toBytes(path), { bigint: true, throwIfNoEntry: false });
