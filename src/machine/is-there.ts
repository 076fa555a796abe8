import { access, lstat } from 'node:fs/promises';

const answered = (asked: Promise<unknown>): Promise<boolean> =>
  asked.then(
    () => true,
    () => false,
  );

/** Something bears this name, a dangling link too. Never rejects: who must tell a disk that does not answer asks `present` (instance/volume.ts). */
export const isThere = (path: string): Promise<boolean> => answered(lstat(path));

/** The name leads to something that this user may reach. Never rejects. */
export const isReachable = (path: string): Promise<boolean> => answered(access(path));
