import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { unlessMissing } from '../../kernel/errors.ts';
import type { Identity, System } from '../../kernel/machine.ts';
import { unlessOwnTrouble } from '../../kernel/own-trouble.ts';
import { readPlain, readPlainText } from '../../machine/plain-file.ts';
import type { Volume } from '../volume.ts';

/**
 * The marker of an initialisation that is not over: it is published with the new cluster and removed once its server has been ready. It
 * remembers where the old data went until a start has told its owner, and which boot of the kernel wrote the files, which are not durable yet.
 */
const markerSchema = v.object({
  startedAt: v.string(),
  replaced: v.nullable(v.string()),
  bootId: v.optional(v.nullable(v.string()), null),
  /** The SHA-256 of its pg_control as it was published: every server that starts writes another one. */
  controlSha256: v.optional(v.nullable(v.string()), null),
  /** Every file of it has reached the disk. */
  isDurable: v.optional(v.boolean(), false),
  /** The dump whose databases belong into it, and whether they are there. */
  dump: v.optional(v.nullable(v.object({ label: v.string(), isLoaded: v.boolean() })), null),
});
export type AwaitedDump = { readonly label: string; readonly isLoaded: boolean };

const kernelBoot = (): Promise<string | null> =>
  readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (id) => id.trim(),
    (cause: unknown) => unlessOwnTrouble(cause) ?? null,
  );

/** Undefined where there is none; rejects with what a disk says that does not answer. */
const controlOf = async (directory: string): Promise<string | undefined> => {
  const bytes = await readPlain(join(directory, 'global/pg_control')).catch(unlessMissing);
  return bytes && createHash('sha256').update(bytes).digest('hex');
};

/** Writes the marker into the staged cluster. */
export async function markInitializing(
  volume: Volume,
  owner: Identity,
  { replaced, dump }: { readonly replaced: string | null; readonly dump?: string | undefined },
  system: System,
): Promise<void> {
  const awaited = dump === undefined ? null : { label: dump, isLoaded: false };
  const marker = { startedAt: system.clock.now().toISOString(), replaced, bootId: await kernelBoot(), dump: awaited };
  const body = JSON.stringify({ ...marker, controlSha256: (await controlOf(volume.incoming)) ?? null });
  await system.files.write(join(volume.incoming, basename(volume.initializing)), `${body}\n`, { mode: 0o600, owner });
}

const read = ({ initializing }: Volume, { files }: System): Promise<v.InferOutput<typeof markerSchema> | undefined> =>
  files.readJson(initializing, (value) => v.parse(markerSchema, value));

/** The dump that belongs into the new cluster; undefined where there is no such cluster, or none belongs there. */
export const awaitedDump = async (volume: Volume, system: System): Promise<AwaitedDump | undefined> =>
  (await read(volume, system))?.dump ?? undefined;

/**
 * True where it is proven that no server has run on an unfinished cluster since it was published: its pg_control is the very one of that moment. One that
 * is torn, gone or another proves nothing, and neither does the marker of an earlier version.
 */
export async function neverServed(volume: Volume, system: System): Promise<boolean> {
  const control = await controlOf(volume.dataDir);
  const marker = await read(volume, system);
  return control !== undefined && marker?.controlSha256 === control;
}

/** From now on clients may write to what was loaded: no later start loads it again. */
export async function markLoaded(volume: Volume, owner: Identity, system: System): Promise<void> {
  const marker = await read(volume, system);
  if (!marker?.dump) return;
  const body = JSON.stringify({ ...marker, dump: { ...marker.dump, isLoaded: true } });
  await system.files.write(volume.initializing, `${body}\n`, { mode: 0o600, owner });
}

/** From now on it is a cluster like any other, however long the rest of its first start takes: clients may have written to it. */
export async function markDurable(volume: Volume, owner: Identity, system: System): Promise<void> {
  const marker = await read(volume, system);
  if (!marker) return;
  await system.files.write(volume.initializing, `${JSON.stringify({ ...marker, isDurable: true })}\n`, { mode: 0o600, owner });
}

/** Where the cluster went that an interrupted initialisation took, or was to take, the place of; null when there was none. */
export async function replacedBefore(volume: Volume, system: System): Promise<string | null> {
  return (await read(volume, system))?.replaced ?? null;
}

function parsed(text: string): v.SafeParseResult<typeof markerSchema> | undefined {
  try {
    return v.safeParse(markerSchema, JSON.parse(text));
  } catch {
    return undefined; // Cut off.
  }
}

/**
 * True if a published new cluster is whole although its start was cut off: it is durable, or no power was lost since it was written. Rejects where the
 * marker cannot be read: what is not whole is removed.
 */
export async function isWholeWithoutSync(marker: string): Promise<boolean> {
  const text = await readPlainText(marker).catch(unlessMissing);
  const read = text === undefined ? undefined : parsed(text);
  if (read?.success !== true) return false;
  const { isDurable, bootId } = read.output;
  return isDurable || (bootId !== null && bootId === (await kernelBoot()));
}
