import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { ConfigInput } from '../../src/config/config.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { openS3Store } from '../../src/store/s3.ts';
import { freePort } from '../harness/ports.ts';

/** A real store, where the environment names it, as in test/store/conformance.test.ts; pgBackRest speaks TLS only. The certificate must name localhost. */
const { S3_ENDPOINT, S3_ENDPOINT_TLS, S3_CA, S3_BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY } = process.env;
export const hasBucket = S3_ENDPOINT !== undefined && S3_ENDPOINT_TLS !== undefined && S3_BUCKET !== undefined;

type Repository = NonNullable<NonNullable<ConfigInput['pgbackrest']>['repository']>;

/** A folder of the bucket, behind a wire that can be cut; empty again after the test. */
export interface RealBucket {
  readonly repository: Repository;
  /** What dbkit finds the keys in. */
  readonly env: Readonly<Record<string, string>>;
  /** Connections break, and nobody answers any more. */
  cut(): Promise<void>;
  mend(): Promise<void>;
}

export async function openBucket(): Promise<RealBucket> {
  const prefix = `dbkit-test-${randomUUID()}/`;
  const wire = await openWire(new URL(S3_ENDPOINT_TLS!));
  onTestFinished(() => emptyFolder(prefix));
  return {
    repository: {
      type: 's3',
      bucket: S3_BUCKET!,
      prefix,
      endpoint: `https://localhost:${wire.port}`,
      accessKeyId: { env: 'TEST_S3_KEY' },
      secretAccessKey: { env: 'TEST_S3_SECRET' },
      ...(S3_CA === undefined ? {} : { caFile: S3_CA }),
    },
    env: { TEST_S3_KEY: S3_ACCESS_KEY!, TEST_S3_SECRET: S3_SECRET_KEY! },
    cut: wire.cut,
    mend: wire.mend,
  };
}

/** Passes bytes on, so that TLS is between the two ends. */
async function openWire({ hostname, port: target }: URL) {
  const port = await freePort();
  const open = new Set<Socket>();
  let server: Server | undefined;
  const mend = async (): Promise<void> => {
    server = createServer((near) => {
      const far = connect(Number(target || 443), hostname);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        open.add(one);
        one.pipe(other);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          open.delete(one);
          other.destroy();
        });
      }
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const cut = async (): Promise<void> => {
    const closed = server && new Promise((done) => server!.close(done));
    for (const socket of open) socket.destroy();
    await closed;
    server = undefined;
  };
  await mend();
  onTestFinished(cut);
  return { port, cut, mend };
}

async function emptyFolder(prefix: string): Promise<void> {
  const { signal } = new AbortController();
  const store = openS3Store({
    bucket: S3_BUCKET!,
    prefix,
    region: 'us-east-1',
    endpoint: S3_ENDPOINT!,
    pathStyle: true,
    credentials: { accessKeyId: S3_ACCESS_KEY!, secretAccessKey: new Secret(S3_SECRET_KEY!) },
  });
  for (const { key } of await store.list('', signal)) await store.remove(key, signal);
}
