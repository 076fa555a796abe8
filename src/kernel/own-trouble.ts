import { errnoOf } from './errors.ts';

/** Errors of this process alone (errno(3)): descriptors, memory, buffers, ports. It says nothing about anybody else. */
const ownTroubles = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL']);

/** True for a failure of dbkit's own, looked for along the chain of causes. */
export const isOwnTrouble = (thrown: unknown): boolean =>
  thrown instanceof Error && (ownTroubles.has(errnoOf(thrown) ?? '') || isOwnTrouble(thrown.cause));

/**
 * For what is read of another process, and of files that may be gone, damaged or not for this user to see (`.catch(unlessOwnTrouble)`): undefined then.
 * A failure of dbkit's own is thrown on: it says nothing about them.
 */
export function unlessOwnTrouble(thrown: unknown): undefined {
  if (isOwnTrouble(thrown)) throw thrown;
  return undefined;
}
