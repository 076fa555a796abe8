import { DbkitError, errnoOf, toFailure } from '../kernel/errors.ts';

/** System calls that fail on a full, read-only or broken disk, or for want of descriptors, become failures a person can act on. */
export async function inWords<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const errno = errnoOf(thrown);
    const { message = '' } = thrown instanceof Error ? thrown : {};
    if (thrown instanceof DbkitError || errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) throw thrown;
    const options = { cause: thrown };
    if (errno === 'ENOSPC' || errno === 'EDQUOT') {
      throw new DbkitError('volume.full', `cannot ${doing}: the volume is full`, { ...options, hint: 'free some space and try again' });
    }
    if (errno === 'EROFS')
      throw new DbkitError('volume.read-only', `cannot ${doing}: the volume is read-only`, { ...options, hint: 'mount it writable' });
    const told = toFailure(thrown);
    if (told.code !== 'internal.bug')
      throw new DbkitError(told.code, `cannot ${doing}: ${told.message}`, { ...options, hint: told.hint ?? undefined });
    throw new DbkitError('command.failed', `cannot ${doing}: ${message}`, {
      ...options,
      hint: 'check that the volumes are mounted and readable',
    });
  }
}
