import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { SecretPlace } from '../../alerts/channel.ts';
import type { Config } from '../../config/config.ts';
import { DbkitError, isAbort, wordsOf } from '../../kernel/errors.ts';
import { newestFirst } from '../../kernel/labels.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import type { StoreNeeds } from '../../store/open-store.ts';
import type { Backup } from '../backup.ts';
import { baseBackupRecords } from '../base/record.ts';
import { dumpRecords } from '../dump/record.ts';
import { openHoldings } from '../holdings.ts';
import { JSON_BYTES_MAX, parseJson } from '../names.ts';
import { readRegular } from '../regular-file.ts';
import { type Bringing, bringer, missing } from './bring.ts';
import { type CheckedCopy, checkCopy, readBack } from './check-copy.ts';
import { holdCopy, holdWalOfCopy } from './copy-lock.ts';
import { copyOut } from './copy-out.ts';
import type { CopyExpiry } from './expire-copies.ts';
import { type SentToCopy, sendHeld, walSending } from './follow-wal.ts';
import { heldBackups } from './held-backups.ts';
import type { NeededWal } from './needless-wal.ts';
import { isVerified, openNotes, readNotes } from './notes.ts';
import { type CopySummary, type Place, requireOwn } from './place.ts';
import { type Dependence, finishReplacing, type RotatedCopy } from './rotate.ts';
import { openWalSender } from './send-wal.ts';
import { openSources } from './sources.ts';
import { upkeepOf } from './upkeep.ts';

export interface CopiedBackup {
  readonly copy: string;
  readonly place: string;
  readonly label: string;
  readonly sizeBytes: number;
  readonly sentBytes: number;
  readonly walSegments: number;
  readonly walSentBytes: number;
}

export interface CopiesNeeds extends StoreNeeds {
  readonly config: Config;
  readonly owner: Identity | undefined;
  readonly system: System;
}

/** Copies of backups and WAL elsewhere, by their names in the configuration. */
export interface Copies {
  /** A good backup and the WAL beside it, and what was sent read back. Rejects with `data.foreign` where only other clusters are there, unless that is meant. */
  copy(name: string, backup: Backup, options: { readonly otherCluster: boolean }, signal: AbortSignal): Promise<CopiedBackup>;
  /** The kept WAL that is not there yet, once. Rejects with `data.foreign` where only other clusters are there. */
  sendWal(name: string, signal: AbortSignal): Promise<SentToCopy>;
  /** The same, as WAL is kept, until `signal` fires or nobody wants it any more (`isOver`); resolves too when the configuration is to be read again. */
  followWal(name: string, isOver: () => boolean, signal: AbortSignal): Promise<void>;
  /** Those of these backups that are not known to be whole there: good ones, oldest first. */
  pending(name: string, backups: readonly Backup[]): Promise<readonly Backup[]>;
  /** Oldest first, of every cluster. */
  list(name: string, signal: AbortSignal): Promise<readonly CopySummary[]>;
  /** Every stored byte of these backups, or of all, against its hash; no identity is needed. */
  verify(name: string, labels: readonly string[], signal: AbortSignal): Promise<readonly CheckedCopy[]>;
  /** By the copy's own retention, of these clusters; null where it has none, so nothing goes. */
  expire(
    name: string,
    options: { readonly dryRun: boolean; readonly clusters: readonly string[] },
    signal: AbortSignal,
  ): Promise<CopyExpiry | null>;
  /** Everything there is encrypted again, to the recipients of today, and read back. */
  rotate(name: string, identity: SecretPlace | undefined, signal: AbortSignal): Promise<RotatedCopy>;
  /** Backups there that still need a key of before; nothing is decrypted. */
  keys(name: string, signal: AbortSignal): Promise<Dependence>;
  /** A backup and the WAL into the repository, as they were; nothing that is there is replaced. `latest` with a moment: the one that serves it. The label. */
  bring(name: string, label: string, options: Bringing, signal: AbortSignal): Promise<string>;
}

export function createCopies(needs: CopiesNeeds): Copies {
  const { config, system } = needs;
  const { settingsOf, storeOf, placeOf, allOf } = openSources(needs);
  return {
    async copy(name, backup, { otherCluster: isMeant }, signal) {
      if (backup.state === 'damaged')
        throw new DbkitError('data.corrupt', `${backup.label} is damaged and is not copied`, {
          hint: 'take a new one: `dbkit backup create`',
        });
      const book = openNotes({ stateDir: config.stateDir, name, settings: settingsOf(name) }, system);
      return holdCopy(needs, name, signal, async () => {
        try {
          const store = await storeOf(name);
          await requireOwn(store, backup.systemIdentifier, isMeant, signal);
          await finishReplacing(placeOf(name, store, backup.systemIdentifier), signal);
          const { place, summary, sent, report } = await copyTo(needs, name, placeOf(name, store, backup.systemIdentifier), backup, signal);
          if (sent !== 'nothing' || !(await book.isVerified(backup.label))) {
            await book.add(backup, summary, null);
            await readBack(place, summary, sent, signal);
            await book.add(backup, summary, system.clock.now().toISOString());
          }
          await book.works();
          return report;
        } catch (cause) {
          if (!isAbort(cause)) await book.fails(wordsOf(cause)).catch(() => undefined); // The failure itself is what counts.
          throw cause;
        }
      });
    },
    ...walSending(needs),
    ...upkeepOf(needs),
    bring: bringer(needs),
    async pending(name, backups) {
      const notes = await readNotes(config.stateDir, name, settingsOf(name), system.files);
      return backups
        .filter(({ state, label }) => state !== 'damaged' && !isVerified(notes, label))
        .sort(newestFirst)
        .reverse();
    },
    list: async (name, signal) => (await allOf(name, signal)).map(({ summary }) => summary),
    async verify(name, labels, signal) {
      const all = await allOf(name, signal);
      const wanted = labels.length === 0 ? all : all.filter(({ summary }) => labels.includes(summary.label));
      for (const label of labels) if (!wanted.some(({ summary }) => summary.label === label)) throw missing(name, label);
      const sound = new Set<string>();
      const checked: CheckedCopy[] = [];
      for (const { place, summary } of wanted) checked.push(await checkCopy(place, summary, sound, signal));
      const at = system.clock.now().toISOString();
      const book = openNotes({ stateDir: config.stateDir, name, settings: settingsOf(name) }, system);
      await holdCopy(needs, name, signal, async () => {
        for (const [index, { summary }] of wanted.entries()) await book.add(summary, summary, at, checked[index]!.problem);
      });
      return checked;
    },
  };
}

interface Copied {
  readonly place: Place;
  readonly summary: CopySummary;
  readonly sent: 'nothing' | ReadonlySet<string>;
  readonly report: CopiedBackup;
}

/** Packs, WAL, manifest, summary. */
async function copyTo(
  { config, owner, system }: CopiesNeeds,
  name: string,
  place: Place,
  backup: Backup,
  signal: AbortSignal,
): Promise<Copied> {
  const holdings =
    backup.kind === 'physical'
      ? openHoldings(baseBackupRecords, config.backupDir, owner, system)
      : openHoldings(dumpRecords, config.backupDir, owner, system);
  const memoryDir = join(config.stateDir, 'copies', `${name}-${fingerprint(`${place.store.place} ${place.seal.keys}`)}`);
  const done = await holdings.reading(backup.label, signal, async () => {
    const wal = await neededBy(config.backupDir, backup);
    const summaries = [...(await place.summaries(signal)), ...(wal === undefined ? [] : [{ label: backup.label, wal }])];
    const held = await heldBackups(holdings, backup, system, signal);
    return copyOut(
      { place, backupDir: config.backupDir, memoryDir, wal, system, held },
      backup,
      () =>
        holdWalOfCopy({ config, system }, name, signal, () =>
          sendHeld(
            { config, system },
            name,
            { place, sender: openWalSender(place, { backupDir: config.backupDir, ...system }), summaries },
            signal,
          ),
        ),
      signal,
    );
  });
  const { label, sizeBytes } = done.backup;
  const { segments: walSegments, sentBytes: walSentBytes } = done.wal;
  const report = { copy: name, place: place.store.place, label, sizeBytes, sentBytes: done.sentBytes, walSegments, walSentBytes };
  return { place, summary: done.backup, sent: done.sent, report };
}

/** As the backup's own record says. */
async function neededBy(backupDir: string, { kind, label }: Backup): Promise<NeededWal | undefined> {
  if (kind === 'logical') return undefined;
  const bytes = await readRegular(join(backupDir, `${label}.json`), JSON_BYTES_MAX);
  const { timeline, startLsn, walSegmentSizeBytes: segmentSizeBytes } = baseBackupRecords.parse(parseJson(bytes, `the record of ${label}`));
  return { timeline, startLsn, segmentSizeBytes };
}

const fingerprint = (place: string): string => createHash('sha256').update(place).digest('hex').slice(0, 8);
