import { rm } from 'node:fs/promises';
import type { Local } from '../local.ts';

/**
 * A folder of the server's owner for as long as `work` takes, on the data's own volume: the system's may be closed to that user, and what a
 * killed run leaves here (a password, a script) the next one removes.
 */
export async function inTemporaryFolder<T>(
  { volume: { temporary }, owner, system }: Local,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  await system.files.makeDirectory(temporary, { mode: 0o700, owner });
  try {
    return await work(temporary);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
