import { lstatSync, type Stats, statSync } from 'node:fs';
import { access, constants, lstat, readdir } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { errnoOf, unlessMissing } from '../kernel/errors.ts';

const answered = (asked: Promise<unknown>): Promise<boolean> =>
  asked.then(
    () => true,
    () => false,
  );

/** Something bears this name, a dangling link too. Never rejects: who must tell a disk that does not answer asks `present` (instance/volume.ts). */
export const isThere = (path: string | Buffer): Promise<boolean> => answered(lstat(path));

/** As `isThere`, between two system calls that nothing may come between. Throws what the disk says. */
export const isThereNow = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** The name leads to something that this user may reach. Never rejects. */
export const isReachable = (path: string): Promise<boolean> => answered(access(path));

/** The name leads to a program that this user may run (a folder: may enter). Never rejects. */
export const isExecutable = (path: string): Promise<boolean> => answered(access(path, constants.X_OK));

/** This user may write there, as far as modes tell. Never rejects. */
export const isWritable = (path: string): Promise<boolean> => answered(access(path, constants.W_OK));

/** The program with that name in the first of the folders that has it; undefined where none has. Never rejects. */
export async function firstProgram(name: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) if (await isExecutable(join(folder, name))) return join(folder, name);
  return undefined;
}

/** The folders of a PATH, in its order; those that depend on where one stands are passed over. */
export const foldersIn = (path: string | undefined): readonly string[] => (path ?? '').split(':').filter(isAbsolute);

/** The names in a folder that need not be there; none then. Rejects with what the disk says otherwise. */
export const namesIn = async (folder: string): Promise<string[]> => (await readdir(folder).catch(unlessMissing)) ?? [];

/** Where a path leads, by every link on it; undefined where it leads nowhere, a file in the place of a folder on the way included. Throws all else that a disk says. */
export function targetAt(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    if (errnoOf(cause) === 'ENOTDIR') return undefined; // Node 20 throws it (hasNoEntryError, errors.js).
    throw cause;
  }
}
