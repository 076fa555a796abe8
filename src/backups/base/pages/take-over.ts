import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
} from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { type BytePath, fromText, join, parentOf, toBytes, toText } from '../../../formats/byte-path.ts';
import { DELTA_PAGE_BYTES } from '../../../formats/page-delta.ts';
import { writeAll } from '../../../formats/whole-pieces.ts';
import { DbkitError, wordsOf } from '../../../kernel/errors.ts';
import type { HeldLock } from '../../../kernel/machine.ts';
import { fill } from '../../../kernel/reasons.ts';
import { syncTree } from '../../durable-tree.ts';
import { changesIn } from '../../page-changes.ts';
import type { BackupRun } from '../begin-copy.ts';
import { freshBytes } from './choose.ts';
import { type Held, holdersAmong } from './holders.ts';
import { type Journal, removeJournal, writeJournal } from './journal.ts';
import { filesOf, hidePlain, linkPages, withPacked } from './pack.ts';
import { PAGES, pageFile, whereaboutsIn } from './packed.ts';
import { rollBack } from './settle.ts';
import { chooseStrategy } from './strategy.ts';

/** A file that the new backup has only as what differs from the earlier one. */
export interface TakenFile {
  readonly path: BytePath;
  readonly number: number;
  readonly sizeBytes: number;
  readonly changedPages: number;
}

type Run = Pick<BackupRun, 'repository' | 'staging' | 'label' | 'system' | 'owner' | 'earlier'>;
type Chosen = TakenFile & { readonly held: Held; readonly from: BytePath };

/**
 * Makes the files of a staged backup, which is durable but for them, and publishes it. Where the earlier backups may keep their pages, pages of
 * the earlier file are written over, in the order that ADR 10 gives; else the file is copied and changed. Whatever fails leaves the earlier
 * backups as they were. `publish` is told how many more bytes were written than was thought.
 */
export async function takeOver(
  run: Run,
  { files, isGood }: { readonly files: readonly TakenFile[]; readonly isGood: boolean },
  publish: (moreBytes: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (files.length === 0) {
    await rm(toBytes(join(run.staging, PAGES)), { recursive: true, force: true });
    return publish(0);
  }
  const locks = new Map<string, HeldLock | undefined>();
  try {
    const { delta, whole } = await chooseAll(run, { files, isGood }, locks, signal);
    await run.repository.requireSpace(whole.reduce((sum, { held, sizeBytes }) => sum + Math.max(held.sizeBytes, sizeBytes), 0));
    for (const file of whole) await copyAndChange(run, file);
    await syncTree(
      run.staging,
      whole.map(({ path }) => parentOf(path)),
    );
    const moreBytes = whole.reduce(
      (sum, { held, sizeBytes, changedPages }) => sum + Math.max(held.sizeBytes, sizeBytes) - changedPages * DELTA_PAGE_BYTES,
      0,
    );
    if (delta.length > 0) return await writeOver(run, delta, () => publish(moreBytes), new Set(locks.keys()));
    await rm(toBytes(join(run.staging, PAGES)), { recursive: true, force: true });
    await publish(moreBytes);
  } finally {
    for (const lock of locks.values()) await lock?.release();
  }
}

async function chooseAll(
  { repository, earlier, system }: Run,
  { files, isGood }: { readonly files: readonly TakenFile[]; readonly isGood: boolean },
  locks: Map<string, HeldLock | undefined>,
  signal: AbortSignal,
): Promise<{ delta: Chosen[]; whole: Chosen[] }> {
  const holdersOf = holdersAmong(await repository.records(signal), repository.pathOf);
  const [delta, whole]: [Chosen[], Chosen[]] = [[], []];
  for (const file of files) {
    const held = earlier && holdersOf(earlier.label, file.path);
    if (!earlier || !held) throw gone(`the earlier ${toText(file.path)} is gone`);
    for (const label of held.labels) if (!locks.has(label)) locks.set(label, await repository.holdAlone(label));
    const reader = held.labels.find((label) => locks.get(label) === undefined) ?? '';
    const facts = {
      sizeBytes: Math.max(held.sizeBytes, file.sizeBytes),
      fromBytes: 0, // It was large enough when it was compared.
      hasEarlier: true,
      sharesBlocks: false,
      isGood,
      pinned: held.pinned,
      links: held.links,
      ours: held.labels.length,
      knowsReaders: held.labels.every((label) => locks.get(label)?.guard !== 'none'),
      reader,
    };
    const { id, then, words } = chooseStrategy(facts);
    const { from } = whereaboutsIn(earlier, fromText(repository.pathOf(earlier.label)))(file.path);
    (then === 'delta' ? delta : whole).push({ ...file, held, from });
    system.log.debug('backup.pages', `${toText(file.path)}: ${fill(words, facts)}`, { path: toText(file.path), reason: id, how: then });
  }
  return { delta, whole };
}

const gone = (what: string): DbkitError =>
  new DbkitError('data.corrupt', what, { hint: 'find out who changes the repository; `dbkit backup create --full` copies everything' });

/** A copy of the earlier file, with other pages. */
async function copyAndChange({ staging, owner }: Run, { path, number, sizeBytes, from }: Chosen): Promise<void> {
  const to = toBytes(join(staging, path));
  copyFileSync(toBytes(from), to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  const target = openSync(to, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    fchmodSync(target, 0o600);
    if (owner) fchownSync(target, owner.uid, owner.gid);
    await writeChanges(target, freshBytes(staging, number), sizeBytes);
  } finally {
    closeSync(target);
  }
}

const TURN_BYTES = 1024 * 1024;

/** Durable when it resolves. */
async function writeChanges(target: number, fresh: BytePath, sizeBytes: number): Promise<void> {
  const changes = openSync(toBytes(fresh), 'r');
  try {
    let written = 0;
    for (const { position, bytes } of changesIn(changes)) {
      written += writeAll(target, bytes, position);
      if (written < TURN_BYTES) continue;
      written = 0;
      await turn(); // Signals are heard, and what they stop is stopped behind this.
    }
    ftruncateSync(target, sizeBytes);
    fsyncSync(target);
  } finally {
    closeSync(changes);
  }
}

async function writeOver(run: Run, files: readonly Chosen[], publish: () => Promise<void>, held: ReadonlySet<string>): Promise<void> {
  const { repository, staging, label, system, owner } = run;
  const partial = dirname(toText(staging));
  const journal: Journal = {
    schema: 'dbkit.takeover/v1',
    label,
    files: files.map(({ path, number, held: { labels } }) => ({ path, number, holders: [...labels] })),
  };
  await writeJournal(partial, journal, { files: system.files, owner });
  system.reached('takeover.journaled');
  try {
    const paths = await packHolders(run, journal);
    system.reached('takeover.packed');
    for (const file of files) {
      await rewriteFile(run, file, paths.get(file.number)!);
      system.reached('takeover.file-rewritten');
    }
    await syncTree(
      staging,
      files.map(({ path }) => parentOf(path)),
    );
    await rm(toBytes(join(staging, PAGES)), { recursive: true, force: true });
    system.reached('takeover.rewritten');
    await publish();
  } catch (thrown) {
    if (!(await repository.has(label))) await rollBackNow(run, journal, partial, held);
    throw thrown;
  }
  system.reached('takeover.published');
  await removeJournal(partial, label, system);
}

/** Each backup that has one of the files keeps its pages from here on. Resolves to where the files are, by their numbers. */
async function packHolders({ repository, staging, label, system, owner }: Run, journal: Journal): Promise<ReadonlyMap<number, BytePath>> {
  const paths = new Map<number, BytePath>();
  for (const holder of new Set(journal.files.flatMap(({ holders }) => holders))) {
    const record = await repository.wholeOf({ label: holder }, new AbortController().signal);
    if (!record) throw gone(`the record of ${holder} cannot be read any more`);
    const root = fromText(repository.pathOf(holder));
    const files = filesOf(journal, holder);
    await linkPages(root, { record, of: label, files, staging, owner });
    system.reached('takeover.linked');
    const sizeOf = (path: string): number => lstatSync(toBytes(join(root, path as BytePath))).size;
    const now = withPacked(record, label, files, sizeOf);
    const written = await repository.rewrite(holder, (before) => ({ ...before, schema: now.schema, packed: now.packed }));
    if (!written) throw gone(`the record of ${holder} cannot be read any more`); // Nothing leads to the pages that were kept.
    system.reached('takeover.recorded');
    await hidePlain(root, now.packed);
    for (const { path, number } of files) paths.set(number, pageFile(root, now.packed.find((entry) => entry.path === path)!.file));
  }
  return paths;
}

async function rewriteFile({ staging }: Run, { path, number, sizeBytes, held }: Chosen, file: BytePath): Promise<void> {
  const target = openSync(toBytes(file), constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const { nlink } = fstatSync(target);
    if (nlink !== held.labels.length)
      throw new DbkitError('data.foreign', `${toText(file)} has ${nlink} links, and ${held.labels.length} backups have it`, {
        hint: 'find out who makes links to files of backups; `dbkit backup create --full` copies everything',
      });
    await writeChanges(target, freshBytes(staging, number), sizeBytes);
  } finally {
    closeSync(target);
  }
  await link(toBytes(file), toBytes(join(staging, path)));
}

/** Where that fails too the next run does it: until then each backup is whole by the pages that it keeps. */
async function rollBackNow({ repository, system }: Run, journal: Journal, partial: string, held: ReadonlySet<string>): Promise<void> {
  try {
    if (await rollBack(repository, journal, system, held)) return await removeJournal(partial, journal.label, system);
    system.log.warn('backup.not-rolled-back', `the next run ends what ${journal.label} had begun`, { label: journal.label });
  } catch (cause) {
    system.log.warn('backup.not-rolled-back', `the next run ends what ${journal.label} had begun: ${wordsOf(cause)}`, {
      label: journal.label,
    });
  }
}
