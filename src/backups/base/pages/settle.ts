import { closeSync, constants, fsyncSync, ftruncateSync, openSync } from 'node:fs';
import { type BytePath, fromText, toBytes } from '../../../formats/byte-path.ts';
import { DELTA_PAGE_BYTES, type Delta, openDelta } from '../../../formats/page-delta.ts';
import { writeAll } from '../../../formats/whole-pieces.ts';
import { loadZstdSync } from '../../../formats/zstd.ts';
import { errnoOf, wordsOf } from '../../../kernel/errors.ts';
import type { HeldLock, System } from '../../../kernel/machine.ts';
import type { Holdings } from '../../holdings.ts';
import type { BackupRecord, WholeRecord } from '../record.ts';
import { changeable } from './holders.ts';
import { type Journal, journalsIn, nameOfOld, removeJournal } from './journal.ts';
import { clearPages, filesOf, showPlain, withoutDelta } from './pack.ts';
import { pageFile } from './packed.ts';

export type BaseHoldings = Pick<Holdings<BackupRecord, WholeRecord>, 'pathOf' | 'has' | 'wholeOf' | 'rewrite' | 'holdAlone'>;

interface Where {
  readonly partial: string;
  readonly system: Pick<System, 'files' | 'log'>;
}

const never = new AbortController().signal; // What has been begun is ended.

/** Under the repository's lock: ends what killed runs had begun. Where the new backup is there its journal goes; else the files are what they were. */
export async function settleTakeovers(holdings: BaseHoldings, { partial, system }: Where): Promise<void> {
  for (const journal of await journalsIn(partial, system)) {
    if (!(await holdings.has(journal.label)) && !(await rollBack(holdings, journal, system, new Set()))) continue;
    await removeJournal(partial, journal.label, system);
  }
}

/**
 * Writes the pages back that a new backup has written over, and makes the backups that had them what they were. At every instant each of them is
 * whole: the pages that it had lie over the file until the file has them again, durable. `held`: those that the caller holds alone. False, and the
 * journal is still needed: one of them is being read, nobody can tell, or the disk does not take the pages now.
 */
export async function rollBack(
  holdings: BaseHoldings,
  journal: Journal,
  { log }: Pick<System, 'log'>,
  held: ReadonlySet<string>,
): Promise<boolean> {
  const labels = [...new Set(journal.files.flatMap(({ holders }) => holders))];
  const locks = new Map<string, HeldLock>();
  try {
    for (const label of labels.filter((each) => !held.has(each))) {
      const lock = await holdings.holdAlone(label).catch((cause: unknown) => {
        if (errnoOf(cause) === 'ENOENT') return 'gone' as const;
        throw cause;
      });
      if (lock === undefined) return false;
      if (lock !== 'gone' && lock.guard === 'none') {
        await lock.release();
        return false; // Without flock(1) nobody can tell who reads it.
      }
      if (lock !== 'gone') locks.set(label, lock);
    }
    const records = new Map<string, WholeRecord>();
    for (const label of labels) {
      const record = (await holdings.has(label)) ? await holdings.wholeOf({ label }, never) : undefined;
      if (record === undefined) continue;
      const mayChange = changeable(fromText(holdings.pathOf(label)));
      const paths = [...filesOf(journal, label), ...record.packed].map(({ path }) => path as BytePath);
      if (paths.every(mayChange)) records.set(label, record);
      else await tellOfLink(holdings, label, log);
    }
    await loadZstdSync();
    const stuck = writeAllBack(holdings, journal, records, log);
    if (stuck === undefined) return false;
    for (const [label, record] of records) {
      const files = filesOf(journal, label).filter(({ number }) => !stuck.has(number));
      await becomeAsBefore(holdings, record, withoutDelta(record, journal.label, files));
    }
    log.info('backup.rolled-back', `${journal.label} was not finished: the files that it took over are what they were.`, {
      label: journal.label,
    });
    return true;
  } finally {
    for (const lock of locks.values()) await lock.release();
  }
}

/** Somebody has put it there, so the backup is damaged: lists, health and restores say so from now on. */
async function tellOfLink(holdings: BaseHoldings, label: string, log: System['log']): Promise<void> {
  const problem = 'a link stands where a folder of it was';
  await holdings.rewrite(label, (now) => ({ ...now, state: 'damaged', problem }));
  log.error('backup.damaged', `${label} is left as it is: ${problem}. It is not used for a restore any more.`, { label });
}

async function becomeAsBefore(holdings: BaseHoldings, record: WholeRecord, before: WholeRecord): Promise<void> {
  const root = fromText(holdings.pathOf(record.label));
  await showPlain(root, before.packed, record.packed);
  await holdings.rewrite(record.label, (now) => ({ ...now, schema: before.schema, packed: before.packed }));
  await clearPages(root, before.packed);
}

/** The numbers of files whose earlier pages cannot be read: those stay as they are, and a verification tells. Undefined where pages cannot be written. */
function writeAllBack(
  { pathOf }: BaseHoldings,
  { label, files }: Journal,
  records: ReadonlyMap<string, WholeRecord>,
  log: System['log'],
): ReadonlySet<number> | undefined {
  const stuck = new Set<number>();
  for (const { number, path } of files) {
    const old = nameOfOld(label, number);
    for (const record of records.values()) {
      const entry = record.packed.find(({ deltas }) => deltas.includes(old));
      if (entry === undefined) continue;
      const root = fromText(pathOf(record.label));
      let delta: Delta;
      try {
        delta = openWhole(pageFile(root, old));
      } catch (cause) {
        stuck.add(number);
        log.error('backup.pages-lost', `the earlier pages of ${path} in ${record.label} cannot be read: ${wordsOf(cause)}`, { path });
        break;
      }
      try {
        writeBack(pageFile(root, entry.file), delta);
      } catch (cause) {
        log.warn('backup.not-rolled-back', `${path} of ${record.label} keeps its earlier pages beside it for now: ${wordsOf(cause)}`, {
          path,
        });
        return undefined;
      } finally {
        delta.close();
      }
      break; // All of them have the same file and the same pages.
    }
  }
  return stuck;
}

/** All of it is readable, before anything is written. */
function openWhole(old: BytePath): Delta {
  const delta = openDelta(toBytes(old));
  try {
    for (const block of delta.blocks) delta.page(block);
    return delta;
  } catch (cause) {
    delta.close();
    throw cause;
  }
}

function writeBack(file: BytePath, delta: Delta): void {
  const target = openSync(toBytes(file), constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    for (const block of delta.blocks) {
      const at = block * DELTA_PAGE_BYTES;
      writeAll(target, delta.page(block)!.subarray(0, Math.max(0, delta.sizeBytes - at)), at);
    }
    ftruncateSync(target, delta.sizeBytes);
    fsyncSync(target);
  } finally {
    closeSync(target);
  }
}
