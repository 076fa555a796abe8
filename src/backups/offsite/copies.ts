import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { SecretPlace } from '../../alerts/channel.ts';
import type { Config } from '../../config/config.ts';
import { DbkitError, toFailure } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { openStore, type StoreNeeds, sealOf } from '../../store/open-store.ts';
import type { Store } from '../../store/store.ts';
import type { Backup } from '../backup.ts';
import { baseBackupRecords } from '../base/record.ts';
import { dumpRecords } from '../dump/record.ts';
import { openHoldings } from '../holdings.ts';
import { parseJson } from '../names.ts';
import { readRegular } from '../regular-file.ts';
import type { KeptRecord, RecordKind } from '../repository.ts';
import { bringBack } from './bring-back.ts';
import { copyOut } from './copy-out.ts';
import { type CopySummary, clustersIn, openPlace, type Place } from './place.ts';
import { bringWalBack, copyWal } from './wal.ts';

export interface CopiedBackup {
  readonly copy: string;
  readonly place: string;
  readonly label: string;
  readonly sizeBytes: number;
  readonly sentBytes: number;
  readonly walSegments: number;
  readonly walSentBytes: number;
}

export interface CheckedCopy {
  readonly label: string;
  readonly ok: boolean;
  readonly problem: string | null;
}

export interface CopiesNeeds extends StoreNeeds {
  readonly config: Config;
  readonly owner: Identity | undefined;
  readonly system: System;
}

/** Copies of backups and WAL elsewhere, by their names in the configuration. */
export interface Copies {
  /** A good backup and the WAL beside it. Rejects with `data.foreign` where only other clusters are there, unless that is meant. */
  copy(name: string, backup: Backup, options: { readonly otherCluster: boolean }, signal: AbortSignal): Promise<CopiedBackup>;
  /** Oldest first, of every cluster. */
  list(name: string, signal: AbortSignal): Promise<readonly CopySummary[]>;
  /** Every stored byte of these backups, or of all, against its hash; no identity is needed. */
  verify(name: string, labels: readonly string[], signal: AbortSignal): Promise<readonly CheckedCopy[]>;
  /** A backup and the WAL into the repository, as they were; nothing that is there is replaced. The label. */
  bring(
    name: string,
    label: string,
    options: { readonly identity: SecretPlace | undefined; readonly systemIdentifier: string | undefined },
    signal: AbortSignal,
  ): Promise<string>;
}

const HINT = { hint: '`dbkit backup list --copy NAME` shows what a copy holds' };

type Settings = Config['copies'][string];

/** The store of a name, and each cluster's place in it. */
function openSources({ config, clock, reveal }: Pick<CopiesNeeds, 'config' | 'clock' | 'reveal'>) {
  const settingsOf = (name: string): Settings => {
    const settings = config.copies[name];
    if (settings !== undefined) return settings;
    const names = Object.keys(config.copies);
    throw new DbkitError('usage.invalid', `there is no copy '${name}'`, {
      hint: names.length > 0 ? `there are: ${names.join(', ')}` : '`copies:` in dbkit.yaml names them',
    });
  };
  const storeOf = (name: string): Promise<Store> => openStore(settingsOf(name), { clock, reveal });
  const placeOf = (name: string, store: Store, cluster: string, identity?: SecretPlace): Place =>
    openPlace(store, sealOf(settingsOf(name), { reveal }, identity), cluster);
  return {
    storeOf,
    placeOf,
    /** Oldest first. */
    async allOf(name: string, signal: AbortSignal): Promise<readonly Found[]> {
      const store = await storeOf(name);
      const found: Found[] = [];
      for (const cluster of await clustersIn(store, signal)) {
        const place = placeOf(name, store, cluster);
        for (const summary of await place.summaries(signal)) found.push({ place, summary });
      }
      return found.sort((a, b) => (a.summary.createdAt < b.summary.createdAt ? -1 : 1));
    },
  };
}

export function createCopies(needs: CopiesNeeds): Copies {
  const { config, owner, system } = needs;
  const { storeOf, placeOf, allOf } = openSources(needs);
  return {
    async copy(name, backup, { otherCluster }, signal) {
      if (backup.state === 'damaged')
        throw new DbkitError('data.corrupt', `${backup.label} is damaged and is not copied`, {
          hint: 'take a new one: `dbkit backup create`',
        });
      const store = await storeOf(name);
      await requireOwn(store, backup.systemIdentifier, otherCluster, signal);
      const place = placeOf(name, store, backup.systemIdentifier);
      const holdings =
        backup.kind === 'physical'
          ? openHoldings(baseBackupRecords, config.backupDir, owner, system)
          : openHoldings(dumpRecords, config.backupDir, owner, system);
      const memoryDir = join(config.stateDir, 'copies', `${name}-${fingerprint(store.place)}`);
      const summary = await holdings.reading(backup.label, () =>
        copyOut(
          { place, backupDir: config.backupDir, memoryDir, system },
          backup,
          () => copyWal(place, config.backupDir, system.files, signal),
          signal,
        ),
      );
      const { segments, sentBytes } = summary.wal;
      const { label, sizeBytes } = summary.backup;
      return {
        copy: name,
        place: store.place,
        label,
        sizeBytes,
        sentBytes: summary.sentBytes,
        walSegments: segments,
        walSentBytes: sentBytes,
      };
    },
    list: async (name, signal) => (await allOf(name, signal)).map(({ summary }) => summary),
    async verify(name, labels, signal) {
      const all = await allOf(name, signal);
      const wanted = labels.length === 0 ? all : all.filter(({ summary }) => labels.includes(summary.label));
      for (const label of labels) if (!wanted.some(({ summary }) => summary.label === label)) throw missing(name, label);
      const sound = new Set<string>();
      const checked: CheckedCopy[] = [];
      for (const { place, summary } of wanted) checked.push(await check(place, summary, sound, signal));
      return checked;
    },
    async bring(name, label, { identity, systemIdentifier }, signal) {
      const all = (await allOf(name, signal)).filter(
        ({ summary }) => systemIdentifier === undefined || summary.systemIdentifier === systemIdentifier,
      );
      const found = label === 'latest' ? latest(name, all) : all.filter(({ summary }) => summary.label === label);
      if (found.length > 1) throw ambiguous(name, found);
      const [one] = found;
      if (one === undefined) throw missing(name, label);
      const place = placeOf(name, one.place.store, one.summary.systemIdentifier, identity);
      if (label.startsWith('dump_')) await fetchInto(needs, dumpRecords, place, one.summary, signal);
      else await fetchInto(needs, baseBackupRecords, place, one.summary, signal);
      await bringWalBack(place, config.backupDir, system.files, signal);
      return one.summary.label;
    },
  };
}

/** The backup joins those of the repository, the record last, as one that was taken here. */
async function fetchInto<R extends KeptRecord, W extends R>(
  { config, owner, system }: CopiesNeeds,
  kind: RecordKind<R, W>,
  place: Place,
  summary: CopySummary,
  signal: AbortSignal,
): Promise<void> {
  const holdings = openHoldings(kind, config.backupDir, owner, system);
  await holdings.locked(
    'a backup that is brought back',
    async () => {
      if ((await holdings.records(signal)).some(({ label }) => label === summary.label)) return; // It is here already.
      await holdings.requireSpace(summary.sizeBytes);
      const manifest = await place.manifest(summary, signal);
      const directory = holdings.stagingOf(summary.label);
      const record = `${directory}.copied.json`;
      await bringBack(place, manifest, { directory, record, owner }, signal);
      const parsed = kind.parse(parseJson(await readRegular(record, 512 * 1024 * 1024), `the record of ${summary.label}`));
      if (parsed.label !== summary.label)
        throw new DbkitError('data.corrupt', `the copy of ${summary.label} holds the record of ${parsed.label}`);
      await holdings.publish(parsed);
    },
    signal,
  );
}

type Found = { readonly place: Place; readonly summary: CopySummary };

const fingerprint = (place: string): string => createHash('sha256').update(place).digest('hex').slice(0, 8);

const missing = (name: string, label: string): DbkitError =>
  new DbkitError('backup.missing', `the copy ${name} has no backup ${label}`, HINT);

/** The newest base backup, where all are of one cluster. */
function latest(name: string, all: readonly Found[]): Found[] {
  const clusters = new Set(all.map(({ summary }) => summary.systemIdentifier));
  if (clusters.size > 1) throw ambiguous(name, all);
  const last = all.filter(({ summary }) => summary.label.startsWith('data_')).at(-1);
  return last === undefined ? [] : [last];
}

const ambiguous = (name: string, found: readonly Found[]): DbkitError =>
  new DbkitError('data.foreign', `the copy ${name} holds backups of several clusters`, {
    hint: `choose one with --system-identifier: ${[...new Set(found.map(({ summary }) => summary.systemIdentifier))].join(', ')}`,
  });

async function requireOwn(store: Store, systemIdentifier: string, otherCluster: boolean, signal: AbortSignal): Promise<void> {
  const clusters = await clustersIn(store, signal);
  if (otherCluster || clusters.length === 0 || clusters.includes(systemIdentifier)) return;
  throw new DbkitError('data.foreign', `${store.place} holds copies of another cluster, ${clusters.join(', ')}`, {
    hint: 'give this cluster a place of its own in `copies:`, or run once with --other-cluster to keep both there',
  });
}

/** A pack that several backups need is read once. */
async function check(place: Place, summary: CopySummary, sound: Set<string>, signal: AbortSignal): Promise<CheckedCopy> {
  const { label, manifest, packs } = summary;
  try {
    await place.sealedManifest(summary, signal);
    for (const [key] of packs) {
      if (sound.has(`${place.prefix}${key}`)) continue;
      await place.pack(key, signal);
      sound.add(`${place.prefix}${key}`);
    }
    return { label, ok: true, problem: null };
  } catch (cause) {
    const failure = toFailure(cause);
    if (failure.code !== 'data.corrupt') throw cause; // A store that does not answer proves nothing.
    return { label, ok: false, problem: failure.message || manifest.key };
  }
}
