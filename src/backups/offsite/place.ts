import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { DbkitError } from '../../kernel/errors.ts';
import { opened, type Seal } from '../../store/age.ts';
import type { Store } from '../../store/store.ts';
import { parseJson } from '../names.ts';
import { type CopyManifest, packManifest, unpackManifest } from './manifest.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

/** Timeline, LSN and segment size from where on a base backup needs WAL. */
export const neededWal = v.optional(
  v.object({
    timeline: v.pipe(count, v.minValue(1)),
    startLsn: v.pipe(v.string(), v.regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/)),
    segmentSizeBytes: v.pipe(count, v.minValue(1024 * 1024)),
  }),
);

/** In the clear beside the manifest, and the last thing of a copied backup that is written: what a list shows and what a check reads needs no identity. */
const summarySchema = v.looseObject({
  schema: v.literal('dbkit.copied/v1'),
  label: v.pipe(v.string(), v.regex(/^(data|dump)_\d{8}_\d{6}$/)),
  systemIdentifier: v.pipe(v.string(), v.regex(/^\d+$/)),
  pgVersion: count,
  createdAt: v.pipe(v.string(), v.isoTimestamp()),
  copiedAt: v.pipe(v.string(), v.isoTimestamp()),
  /** Of the backup; and what this copy of it sent. */
  sizeBytes: count,
  sentBytes: count,
  /** Which recipients its objects are encrypted to (the first 16 digits of the SHA-256 of their sorted lines); '' for none. Absent: not known. */
  keys: v.optional(v.string()),
  manifest: v.object({ key: v.pipe(v.string(), v.regex(/^backups\/[a-z0-9_]+-[0-9a-f]{16}\.manifest\.zst(\.age)?$/)), sha256: digest }),
  /** Where the WAL begins that a base backup needs; absent: not known, so all WAL is needed. */
  wal: neededWal,
  /** Every pack that it needs, with what is stored of it. */
  packs: v.array(v.tuple([v.pipe(v.string(), v.regex(/^packs\/[0-9a-f]{64}(\.age)?$/)), count])),
});
export type CopySummary = v.InferOutput<typeof summarySchema>;

/** One cluster's folder in a store: `v1/<system identifier>/`. */
export interface Place {
  readonly store: Store;
  readonly seal: Seal;
  readonly systemIdentifier: string;
  readonly prefix: string;
  summaries(signal: AbortSignal): Promise<readonly CopySummary[]>;
  /** Undefined where there is none. */
  summary(label: string, signal: AbortSignal): Promise<CopySummary | undefined>;
  /** As it is stored. Rejects with `data.corrupt` where it is not what the summary says. */
  sealedManifest(summary: CopySummary, signal: AbortSignal): Promise<Buffer>;
  manifest(summary: CopySummary, signal: AbortSignal): Promise<CopyManifest>;
  /** Manifest, then summary: from then on the backup is there. */
  publish(
    manifest: CopyManifest,
    about: Pick<CopySummary, 'pgVersion' | 'createdAt' | 'copiedAt' | 'sizeBytes' | 'sentBytes' | 'wal'>,
    signal: AbortSignal,
    /** Default: the summary is put, and there must be none. */
    writeSummary?: (key: string, body: Buffer) => Promise<unknown>,
  ): Promise<CopySummary>;
  /** The bytes under that name as they are stored, which the name is the hash of. Rejects with `data.corrupt`. */
  pack(key: string, signal: AbortSignal): Promise<Buffer>;
}

/** The room that a backup takes on a disk; its summary, in the clear, only says so. */
export const writtenBytes = ({ files }: Pick<CopyManifest, 'files'>): number => files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Below it lies what is about to take the place of an object (rotate.ts). */
export const REPLACING = 'replacing/';

export const prefixOf = (systemIdentifier: string): string => `v1/${systemIdentifier}/`;

/** The clusters that a store has backups or WAL of. */
export async function clustersIn(store: Store, signal: AbortSignal): Promise<readonly string[]> {
  const keys = (await store.list('v1/', signal)).map(({ key }) => key);
  return [...new Set(keys.flatMap((key) => /^v1\/(\d+)\/(?:backups|wal)\//.exec(key)?.[1] ?? []))];
}

/** Rejects with `data.foreign` where only other clusters are there, unless that is meant. */
export async function requireOwn(store: Store, systemIdentifier: string, isMeant: boolean, signal: AbortSignal): Promise<void> {
  const clusters = await clustersIn(store, signal);
  if (isMeant || clusters.length === 0 || clusters.includes(systemIdentifier)) return;
  throw new DbkitError('data.foreign', `${store.place} holds copies of another cluster, ${clusters.join(', ')}`, {
    hint: 'give this cluster a place of its own in `copies:`, or run `dbkit backup copy --other-cluster` once to keep both there',
  });
}

export function openPlace(store: Store, seal: Seal, systemIdentifier: string): Place {
  const prefix = prefixOf(systemIdentifier);
  const damaged = (key: string, how: string, cause?: unknown): DbkitError =>
    new DbkitError('data.corrupt', `${prefix}${key} in ${store.place} ${how}`, {
      hint: 'restore another backup, or copy this one again: `dbkit backup copy`',
      cause,
    });

  async function sound(key: string, sha256: string, signal: AbortSignal): Promise<Buffer> {
    const bytes = await store.get(`${prefix}${key}`, signal);
    if (bytes === undefined) throw damaged(key, 'is missing');
    if (hashOf(bytes) !== sha256) throw damaged(key, 'is not what was written');
    return bytes;
  }

  async function summary(label: string, signal: AbortSignal): Promise<CopySummary | undefined> {
    const key = `backups/${label}.json`;
    const bytes = (await store.get(`${prefix}${key}`, signal)) ?? (await store.get(`${prefix}${REPLACING}${key}`, signal));
    if (bytes === undefined) return undefined;
    const parsed = v.safeParse(summarySchema, parseJson(bytes, key));
    if (parsed.success && parsed.output.label === label && parsed.output.systemIdentifier === systemIdentifier) return parsed.output;
    throw damaged(key, 'is not the summary of that backup');
  }

  return {
    store,
    seal,
    systemIdentifier,
    prefix,
    summary,
    async summaries(signal) {
      const keys = [...(await store.list(`${prefix}backups/`, signal)), ...(await store.list(`${prefix}${REPLACING}backups/`, signal))];
      const labels = [...new Set(keys.flatMap(({ key }) => /\/([a-z]+_\d{8}_\d{6})\.json$/.exec(key)?.[1] ?? []))].sort();
      const found: CopySummary[] = [];
      for (const label of labels) {
        const one = await summary(label, signal);
        if (one !== undefined) found.push(one);
      }
      return found;
    },
    sealedManifest: ({ manifest: { key, sha256 } }, signal) => sound(key, sha256, signal),
    async manifest({ label, manifest: { key, sha256 } }, signal) {
      const sealed = await sound(key, sha256, signal);
      const manifest = await unpackManifest(await opened(seal, key, sealed));
      if (manifest.label === label && manifest.systemIdentifier === systemIdentifier) return manifest;
      throw damaged(key, `is the manifest of ${manifest.label}`);
    },
    async publish(manifest, about, signal, writeSummary = (key, body) => store.put(`${prefix}${key}`, body, signal)) {
      const { label, packs } = manifest;
      const sealed = await seal.close(await packManifest(manifest));
      const sha256 = hashOf(sealed);
      const key = `backups/${label}-${sha256.slice(0, 16)}.manifest.zst${seal.suffix}`;
      await store.put(`${prefix}${key}`, sealed, signal);
      const made: CopySummary = {
        schema: 'dbkit.copied/v1',
        label,
        systemIdentifier,
        ...about,
        keys: seal.keys,
        manifest: { key, sha256 },
        packs: packs.map((pack) => [pack.key, pack.storedBytes]),
      };
      await writeSummary(`backups/${label}.json`, Buffer.from(`${JSON.stringify(made)}\n`));
      return made;
    },
    pack: (key, signal) => sound(key, /[0-9a-f]{64}/.exec(key)![0], signal),
  };
}
