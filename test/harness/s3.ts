import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { Secret } from '../../src/kernel/secret.ts';
import type { S3Needs } from '../../src/store/s3-requests.ts';

/** What goes wrong with a request; 'truncate': half of the body, then the connection breaks; 'endless': a body that never ends. */
export type Fault = 'error' | 'hang' | 'truncate' | 'endless' | 'quota' | 'denied' | undefined;

export interface FakeS3 extends S3Needs {
  readonly endpoint: string;
  readonly objects: Map<string, Buffer>;
  /** Method and key of every request that was answered. */
  readonly requests: string[];
  /** Asked before each request is answered. */
  fault: (method: string, key: string) => Fault;
  /** False: a store that answers 501 to conditions. */
  knowsConditions: boolean;
}

const ACCESS_KEY = 'AKIDTEST';
const SECRET = 'secret-of-the-fake-store';
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const sha256 = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

/** Signature Version 4 of Amazon ("Authenticating Requests"): the same steps as the signer's, from what has arrived. */
function isSigned({ method, headers }: IncomingMessage, url: URL, body: Buffer): boolean {
  const { credential, signed, signature } =
    /Credential=(?<credential>[^,]+), ?SignedHeaders=(?<signed>[^,]+), ?Signature=(?<signature>[0-9a-f]{64})/.exec(
      headers.authorization ?? '',
    )?.groups ?? {};
  const [key, date, region, service, end] = credential?.split('/') ?? [];
  const given = headers['x-amz-content-sha256'];
  if (key !== ACCESS_KEY || !signed || !signature || (given !== 'UNSIGNED-PAYLOAD' && given !== sha256(body))) return false;
  const query = [...url.searchParams]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join('&');
  const lines = signed.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const request = [method, url.pathname, query, lines.join(''), signed, given].join('\n');
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], `${date}/${region}/${service}/${end}`, sha256(request)].join('\n');
  const signingKey = [date!, region!, service!, end!].reduce<string | Buffer>((made, part) => hmac(made, part), `AWS4${SECRET}`);
  return timingSafeEqual(hmac(signingKey, text), Buffer.from(signature, 'hex'));
}

const ANSWERS = { error: [500, 'InternalError'], quota: [403, 'QuotaExceeded'], denied: [403, 'AccessDenied'] } as const;
const PAGE_OF_THE_FAKE = 3;

/** A bucket `lab` on 127.0.0.1 that checks signatures and MD5s, and pages its lists; gone with the test. */
export async function fakeS3(): Promise<FakeS3> {
  const objects = new Map<string, Buffer>();
  const requests: string[] = [];
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const fake: FakeS3 = {
    bucket: 'lab',
    prefix: 'here/',
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pathStyle: true,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: new Secret(SECRET) },
    attemptsMax: 2,
    silenceMs: 500,
    objects,
    requests,
    fault: () => undefined,
    knowsConditions: true,
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const url = new URL(request.url!, fake.endpoint);
    const [, bucket, ...rest] = url.pathname.split('/');
    const key = decodeURIComponent(rest.join('/'));
    const method = request.method!;
    const fault = fake.fault(method, key);
    const fail = (status: number, code: string): void => {
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(method === 'HEAD' ? undefined : `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
    };
    if (fault === 'hang') return;
    requests.push(`${method} ${key}`);
    if (!isSigned(request, url, body)) return fail(403, 'SignatureDoesNotMatch');
    if (fault === 'endless') return sendForever(response);
    if (fault !== undefined && fault !== 'truncate') {
      const [status, code] = ANSWERS[fault];
      return fail(status, code);
    }
    if (bucket !== 'lab') return fail(404, 'NoSuchBucket');
    if (url.searchParams.get('list-type') === '2') return list(url, response);
    const there = objects.get(key);
    if (method === 'PUT') {
      const condition = request.headers['if-none-match'];
      if (condition !== undefined && !fake.knowsConditions) return fail(501, 'NotImplemented');
      if (condition === '*' && there) return fail(412, 'PreconditionFailed');
      if (request.headers['content-md5'] !== createHash('md5').update(body).digest('base64')) return fail(400, 'BadDigest');
      objects.set(key, body);
      return void response.writeHead(200).end();
    }
    if (method === 'DELETE') {
      objects.delete(key);
      return void response.writeHead(204).end();
    }
    if (!there) return fail(404, 'NoSuchKey');
    response.writeHead(200, { 'content-length': there.length });
    if (method === 'HEAD') return void response.end();
    if (fault !== 'truncate') return void response.end(there);
    response.write(there.subarray(0, there.length / 2), () => response.destroy());
  }

  function sendForever(response: ServerResponse): void {
    const chunk = Buffer.alloc(1024 * 1024);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response
      .writeHead(200)
      .on('drain', more)
      .on('error', () => undefined);
    more();
  }

  function list(url: URL, response: ServerResponse): void {
    const after = url.searchParams.get('continuation-token') ?? '';
    const all = [...objects.keys()].filter((key) => key.startsWith(url.searchParams.get('prefix') ?? '') && key > after).sort();
    const page = all.slice(0, PAGE_OF_THE_FAKE);
    const rows = page.map((key) => `<Contents><Key>${key}</Key><Size>${objects.get(key)!.length}</Size></Contents>`);
    const more = all.length > page.length ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
    response.writeHead(200, { 'content-type': 'application/xml' });
    response.end(
      `<?xml version="1.0"?><ListBucketResult><IsTruncated>${more !== ''}</IsTruncated>${more}${rows.join('')}</ListBucketResult>`,
    );
  }

  return fake;
}
