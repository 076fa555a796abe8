import type { S3Client } from '@aws-sdk/client-s3';
import { within } from '../kernel/deadline.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Secret } from '../kernel/secret.ts';
import { boundAnswers, objectOf } from './s3-answers.ts';
import { explain, isStatus } from './s3-failures.ts';
import { createListing, requireKey, type Store, type StoredObject } from './store.ts';

export interface S3Needs {
  readonly bucket: string;
  /** Before every key; '' or with a slash at its end. */
  readonly prefix: string;
  readonly region: string;
  /** Undefined: Amazon's own. */
  readonly endpoint: string | undefined;
  readonly pathStyle: boolean;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: Secret; readonly sessionToken?: Secret | undefined };
  /** How often a request is sent before the store counts as unavailable. */
  readonly attemptsMax?: number;
  /** A request that says nothing for so long is sent again. */
  readonly silenceMs?: number;
  /** So much of memory a list may take. */
  readonly listMaxBytes?: number;
}

/** Long enough for a store that is started again: of 60 objects none was lost with 10 attempts, 12 with 3. */
const ATTEMPTS_MAX = 10;
const SILENCE_MS = 20_000;
const TIMEOUT_MS = 300_000;
/** Of all its pages. */
const LIST_TIMEOUT_MS = 3_600_000;
const PAGE = 1000;

/** The requests there are. */
export interface S3Requests extends Pick<Store, 'place' | 'get' | 'stat' | 'list' | 'remove'> {
  /** Replaces what is there, where `onlyNew` is not asked for or the store does not know it. */
  send(key: string, body: Uint8Array, md5: string, onlyNew: boolean, signal: AbortSignal): Promise<void>;
}

/** Requests to one bucket. The SDK is loaded with the first of them. */
export function s3Requests(needs: S3Needs): S3Requests {
  const { bucket, prefix, attemptsMax = ATTEMPTS_MAX } = needs;
  const place = `s3://${bucket}/${prefix}${needs.endpoint === undefined ? '' : ` at ${needs.endpoint}`}`;
  const asked = asking(needs, place);

  const full = (key: string): string => {
    requireKey(key);
    return `${prefix}${key}`;
  };

  async function get(key: string, signal: AbortSignal): Promise<Buffer | undefined> {
    const Key = full(key);
    return asked(signal, async ({ client, sdk }, abortSignal) => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          const { Body, ContentLength } = await client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key }), { abortSignal });
          const bytes = await objectOf(Body as AsyncIterable<Uint8Array> | undefined, `${Key} in ${place}`, abortSignal);
          if (ContentLength !== undefined && bytes.length !== ContentLength)
            throw new Error(`${bytes.length} of ${ContentLength} bytes came`);
          return bytes;
        } catch (cause) {
          if (isStatus(cause, 404) && (cause as Error).name !== 'NoSuchBucket') return undefined;
          abortSignal.throwIfAborted();
          if (attempt >= attemptsMax || isAnswer(cause) || cause instanceof DbkitError) throw cause; // The SDK sends a request again, not one whose body broke off.
        }
      }
    });
  }

  async function stat(key: string, signal: AbortSignal): Promise<StoredObject | undefined> {
    const Key = full(key);
    return asked(signal, async ({ client, sdk }, abortSignal) => {
      try {
        const { ContentLength = 0 } = await client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key }), { abortSignal });
        return { key, sizeBytes: ContentLength };
      } catch (cause) {
        if (isStatus(cause, 404)) return undefined;
        throw cause;
      }
    });
  }

  return {
    place,
    get,
    stat,
    list: (wanted, signal) =>
      asked(signal, (connection, bounded) => listAll(connection, { ...needs, place, wanted }, bounded), LIST_TIMEOUT_MS),
    async send(key, body, md5, onlyNew, signal) {
      const request = { Bucket: bucket, Key: full(key), Body: body, ContentMD5: md5, ...(onlyNew ? { IfNoneMatch: '*' } : {}) };
      await asked(signal, ({ client, sdk }, abortSignal) => client.send(new sdk.PutObjectCommand(request), { abortSignal }));
    },
    async remove(key, signal) {
      const request = { Bucket: bucket, Key: full(key) };
      await asked(signal, ({ client, sdk }, abortSignal) => client.send(new sdk.DeleteObjectCommand(request), { abortSignal }));
    },
  };
}

interface Listing extends Pick<S3Needs, 'bucket' | 'prefix' | 'listMaxBytes'> {
  readonly place: string;
  readonly wanted: string;
}

/** Page for page. Rejects with `store.denied` for a list without end: who answers may be anybody. */
async function listAll(
  { client, sdk }: Connection,
  { place, bucket, prefix, wanted, listMaxBytes }: Listing,
  signal: AbortSignal,
): Promise<readonly StoredObject[]> {
  const listing = createListing(place, listMaxBytes);
  const below = `${prefix}${wanted}`;
  const tokens = new Set<string>();
  for (let token: string | undefined; ; ) {
    const request = new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: below, MaxKeys: PAGE, ContinuationToken: token });
    const page = await within([signal], TIMEOUT_MS, (abortSignal) => client.send(request, { abortSignal }));
    for (const { Key = '', Size = 0 } of page.Contents ?? []) if (Key.startsWith(below)) listing.add(Key.slice(prefix.length), Size);
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
    listing.page(token);
    if (token === undefined) return listing.sorted();
    if (tokens.has(token)) throw turnsInACircle(place);
    tokens.add(token);
  }
}

const turnsInACircle = (place: string): DbkitError =>
  new DbkitError('store.denied', `${place} begins its list again where it should go on`, { hint: 'find out who answers there' });

/** Each request within a limit, its failure in words. */
function asking(
  needs: S3Needs,
  place: string,
): <T>(signal: AbortSignal, work: (connection: Connection, signal: AbortSignal) => Promise<T>, timeoutMs?: number) => Promise<T> {
  let loading: ReturnType<typeof connect> | undefined;
  return async (signal, work, timeoutMs = TIMEOUT_MS) => {
    loading ??= connect(needs, place);
    const connection = await loading;
    return within([signal], timeoutMs, (bounded) => work(connection, bounded)).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw explain(place, cause);
    });
  };
}

interface Connection {
  readonly client: S3Client;
  readonly sdk: typeof import('./s3-sdk.ts');
}

const isAnswer = (cause: unknown): boolean => {
  const status = (cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  return status !== undefined && status >= 300;
};

async function connect(
  { region, endpoint, pathStyle, credentials, attemptsMax = ATTEMPTS_MAX, silenceMs = SILENCE_MS }: S3Needs,
  place: string,
): Promise<Connection> {
  const sdk = await import('./s3-sdk.ts');
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const client = new sdk.S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: pathStyle,
    credentials: {
      accessKeyId,
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() }),
    },
    maxAttempts: attemptsMax,
    requestHandler: {
      connectionTimeout: Math.min(silenceMs, 10_000),
      requestTimeout: silenceMs,
      throwOnRequestTimeout: true,
      socketTimeout: silenceMs,
    },
    requestChecksumCalculation: 'WHEN_REQUIRED', // Ceph and older MinIO answer 411 to the trailers that SDKs of 2025 send.
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  boundAnswers(client, place);
  return { client, sdk };
}
