import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { errnoOf, isDenied, unlessMissing } from '../kernel/errors.ts';
import type { Owner, System } from '../kernel/machine.ts';
import { namesIn } from '../machine/is-there.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { mountAround } from './mounts.ts';

/**
 * Which mount a folder lay on while a server was ready. The data's own is remembered in the state folder, the repository's with the data: a
 * volume that is not mounted leaves an empty folder behind, which looks like a first boot, or like a repository without backups.
 */
const schema = v.object({ schema: v.literal('dbkit.places/v1'), mounts: v.record(v.string(), v.string()) });

const notForUs = (cause: unknown): boolean => isDenied(cause) || errnoOf(cause) === 'ENOTDIR';

const placesFile = (folder: string): string => join(folder, 'places.json');

/** Rejects with what a disk says that does not answer, and where dbkit is short of descriptors: what was remembered is not forgotten by that. */
async function remembered(folder: string): Promise<Readonly<Record<string, string>>> {
  const text = (await readPlainText(placesFile(folder)).catch((cause: unknown) => (notForUs(cause) ? '' : unlessMissing(cause)))) ?? '';
  try {
    return v.parse(schema, JSON.parse(text)).mounts;
  } catch {
    return {}; // Nothing was remembered, or it is cut off: then nobody knows.
  }
}

/** True where `path` is empty, and the mount that it lay on is gone. `folder` is where that was remembered. */
export async function isUnmounted(folder: string, path: string): Promise<boolean> {
  const before = (await remembered(folder))[path];
  if (before === undefined) return false;
  const now = await mountAround(await realpath(path).catch(() => path));
  if (now === undefined || now === before || !`${before}/`.startsWith(now === '/' ? '/' : `${now}/`)) return false;
  return holdsNothing(path);
}

/** True for a folder of which a mount point without its mount looks no other; false for one that is not for this user to read. */
export const holdsNothing = (path: string): Promise<boolean> =>
  namesIn(path).then(
    (names) => names.every((name) => name.startsWith('.') || name === 'lost+found'),
    (cause: unknown) => {
      if (!notForUs(cause)) throw cause;
      return false;
    },
  );

/** Called once a server is ready. What is not mounted now keeps what was remembered of it. */
export async function rememberPlace(folder: string, path: string, owner: Owner | undefined, { files }: System): Promise<void> {
  const mount = await mountAround(await realpath(path).catch(() => path));
  const before = await remembered(folder);
  if (mount === undefined || before[path] === mount || (await isUnmounted(folder, path))) return;
  const body = { schema: 'dbkit.places/v1', mounts: { ...before, [path]: mount } };
  await files.write(placesFile(folder), `${JSON.stringify(body)}\n`, { mode: 0o600, owner });
}
