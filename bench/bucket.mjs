// A bucket for the copies of a benchmark, named by S3_ENDPOINT, S3_BUCKET, S3_REGION, S3_ACCESS_KEY and S3_SECRET_KEY, behind a proxy that counts.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DeleteObjectsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { countingProxy } from './counting-proxy.mjs';

/** Undefined where no S3_ENDPOINT is set. The certificate is the proxy's own: pgBackRest speaks TLS only, so all do. */
export async function bucketOf(root, port, folders) {
  const { S3_ENDPOINT: endpoint, S3_BUCKET: name, S3_REGION: region = 'us-east-1' } = process.env;
  if (!endpoint) return undefined;
  const [keyFile, certFile] = [join(root, 'proxy.key'), join(root, 'proxy.pem')];
  const made = spawnSync('openssl', [
    ...[
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=IP:127.0.0.1,DNS:localhost',
    ],
    ...['-keyout', keyFile, '-out', certFile],
  ]);
  if (made.status !== 0) throw new Error(`openssl: ${made.error?.message ?? made.stderr}`);
  const proxy = await countingProxy({ endpoint, folders, port, keyFile, certFile });
  const [accessKeyId, secretAccessKey] = [process.env.S3_ACCESS_KEY, process.env.S3_SECRET_KEY];
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  async function* objects(folder) {
    for (let token; ; ) {
      const page = await client.send(new ListObjectsV2Command({ Bucket: name, Prefix: `${folder}/`, ContinuationToken: token }));
      yield page.Contents ?? [];
      token = page.NextContinuationToken;
      if (!token) return;
    }
  }
  return {
    name,
    region,
    accessKeyId,
    secretAccessKey,
    ...proxy,
    /** Bytes and number of what is stored there, WAL apart. */
    stored: async (folder) => {
      let [bytes, files] = [0, 0];
      for await (const page of objects(folder))
        for (const { Key, Size } of page.filter(({ Key: key }) => !key.includes('/archive/')))
          if (Key) [bytes, files] = [bytes + Size, files + 1];
      return { bytes, files };
    },
    empty: async (folder) => {
      for await (const page of objects(folder))
        if (page.length > 0)
          await client.send(new DeleteObjectsCommand({ Bucket: name, Delete: { Objects: page.map(({ Key }) => ({ Key })) } }));
    },
  };
}
