import type { S3Client } from '@aws-sdk/client-s3';
import { DbkitError } from '../kernel/errors.ts';
import { OBJECT_BYTES_MAX, tooLarge } from './store.ts';

/** A page of a list has 1000 keys of 1 KiB at most, and some words beside each; an error has less than a KiB. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

const refused = (place: string, how: string): DbkitError =>
  new DbkitError('store.denied', `${place} answers with ${how}, as no store of objects does`, { hint: 'find out who answers there' });

/**
 * The SDK gathers every answer but an object whole before it reads it, however long it is, and the time that its parser takes for document types grows
 * with their square. So answers come to it through here.
 */
export function boundAnswers(client: S3Client, place: string): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        const response = result.response as { readonly statusCode: number; body?: AsyncIterable<Uint8Array> | Uint8Array };
        if (commandName === 'GetObjectCommand' && response.statusCode < 300) return result; // `objectOf` reads it.
        if (response.body === undefined || response.body instanceof Uint8Array) return result;
        const bytes = await gathered(response.body, ANSWER_BYTES_MAX, () =>
          refused(place, `more than ${ANSWER_BYTES_MAX / 1024 ** 2} MiB`),
        );
        if (/<!doctype/i.test(bytes.toString('latin1'))) throw refused(place, 'a document type');
        response.body = bytes;
        return result;
      },
    { step: 'deserialize', priority: 'low', name: 'boundAnswers' }, // Low: before everything else that reads it.
  );
}

/** An object's bytes. Rejects with `data.corrupt` where there are more than an object has. */
export const objectOf = (body: AsyncIterable<Uint8Array> | undefined, where: string, signal: AbortSignal): Promise<Buffer> =>
  gathered(body, OBJECT_BYTES_MAX, () => tooLarge(where), signal);

/** A body without end would fill the memory of whoever keeps the server. */
async function gathered(
  body: AsyncIterable<Uint8Array> | undefined,
  sizeMaxBytes: number,
  tooMuch: () => DbkitError,
  signal?: AbortSignal,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body ?? []) {
    signal?.throwIfAborted();
    sizeBytes += chunk.byteLength;
    if (sizeBytes > sizeMaxBytes) throw tooMuch(); // Leaving the loop ends the stream.
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
