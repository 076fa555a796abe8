import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, wordsOf } from '../../kernel/errors.ts';
import { readRegular } from '../regular-file.ts';
import type { LoaderNeeds } from './loader.ts';
import type { DumpRecord } from './record.ts';

const KEY_BYTES = 32;
const keyIn = (stateDir: string): string => join(stateDir, 'dump-key');

/**
 * The seal of a dump that is made here: an HMAC-SHA256 over its manifest's digest, and so over every file of it, with a key that never leaves the
 * state directory. Whoever else writes a dump, its record and its manifest cannot make one. Null where no key can be kept: it counts as a stranger's.
 */
export async function sealOf({ manifestSha256 }: Pick<DumpRecord, 'manifestSha256'>, needs: LoaderNeeds): Promise<string | null> {
  try {
    return digest((await readKey(needs)) ?? (await makeKey(needs)), manifestSha256);
  } catch (cause) {
    needs.system.log.warn('dump.unsealed', `the dump bears no seal of this dbkit: ${wordsOf(cause)}`);
    return null;
  }
}

/** True when this dbkit made the dump, by its seal. */
export async function isSealedHere(
  { manifestSha256, seal }: Pick<DumpRecord, 'manifestSha256' | 'seal'>,
  needs: LoaderNeeds,
): Promise<boolean> {
  if (seal === null) return false;
  const key = await readKey(needs).catch(() => undefined); // Without its key a seal proves nothing.
  if (key === undefined) return false;
  const [given, own] = [Buffer.from(seal), Buffer.from(digest(key, manifestSha256))];
  return given.length === own.length && timingSafeEqual(given, own);
}

const digest = (key: Buffer, manifestSha256: string): string =>
  createHmac('sha256', key).update(`dbkit.dump/v1 ${manifestSha256}`).digest('hex');

async function readKey({ config }: LoaderNeeds): Promise<Buffer | undefined> {
  try {
    const key = await readRegular(keyIn(config.stateDir), KEY_BYTES);
    return key.length === KEY_BYTES ? key : undefined;
  } catch (cause) {
    if (errnoOf(cause) !== 'ENOENT') throw cause;
    return undefined;
  }
}

/** Under the lock of dumps. One that is cut short is written over: what it sealed counts as a stranger's then. */
async function makeKey({ config: { stateDir }, system: { files } }: LoaderNeeds): Promise<Buffer> {
  await files.makeDirectory(stateDir, { mode: 0o755 });
  const key = randomBytes(KEY_BYTES);
  await files.write(keyIn(stateDir), key, { mode: 0o600, owner: await stat(stateDir) });
  return key;
}
