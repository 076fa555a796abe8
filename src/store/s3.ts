import { createHash } from 'node:crypto';
import { isStatus } from './s3-failures.ts';
import { type S3Needs, s3Requests } from './s3-requests.ts';
import { otherBytes, requireSize, type Store } from './store.ts';

/**
 * Objects in a bucket of Amazon's S3 or of a server that speaks its protocol. Each object is one PUT with its MD5, which the store compares;
 * `If-None-Match` where the store knows it, else it is asked first.
 */
export function openS3Store(needs: S3Needs): Store {
  const { send, ...requests } = s3Requests(needs);
  const { place, get, stat } = requests;
  let isConditional = true;

  async function put(key: string, body: Uint8Array, signal: AbortSignal): Promise<'stored' | 'there'> {
    requireSize(key, body);
    if (!isConditional && (await stat(key, signal)) !== undefined) return compare(key, body, signal);
    try {
      await send(key, body, createHash('md5').update(body).digest('base64'), isConditional, signal);
      return 'stored';
    } catch (cause) {
      const answer = (cause as Error).cause;
      if (isStatus(answer, 412) || isStatus(answer, 409)) return compare(key, body, signal);
      if (!isConditional || !isStatus(answer, 501)) throw cause;
      isConditional = false;
      return put(key, body, signal);
    }
  }

  async function compare(key: string, body: Uint8Array, signal: AbortSignal): Promise<'there'> {
    if ((await get(key, signal))?.equals(body)) return 'there';
    throw otherBytes(place, key);
  }

  return { ...requests, put };
}
