// Stands before an S3 store and counts: requests by method, and bytes of bodies. A thread of its own, as whoever measures waits for a child meanwhile.
import { readFileSync } from 'node:fs';
import { request as forwardPlain } from 'node:http';
import { createServer, request as forwardTls } from 'node:https';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const FIELDS = ['PUT', 'GET', 'HEAD', 'POST', 'DELETE', 'up', 'down'];

/** Counts by the folder that a key begins with; WAL that a server archives meanwhile (`/archive/` in the key) is not counted. */
export async function countingProxy({ endpoint, folders, port, keyFile, certFile }) {
  const shared = new SharedArrayBuffer(8 * FIELDS.length * folders.length);
  const counts = new BigInt64Array(shared);
  const worker = new Worker(new URL(import.meta.url), { workerData: { endpoint, folders, port, keyFile, certFile, shared } });
  await new Promise((done, failed) => worker.once('message', done).once('error', failed));
  return {
    endpoint: `https://localhost:${port}`,
    port,
    certFile,
    read: (folder) => {
      const first = folders.indexOf(folder) * FIELDS.length;
      return Object.fromEntries(FIELDS.map((name, index) => [name, Number(Atomics.load(counts, first + index))]));
    },
    close: () => worker.terminate(),
  };
}

function serve({ endpoint, folders, port: ownPort, keyFile, certFile, shared }) {
  const counts = new BigInt64Array(shared);
  const target = new URL(endpoint);
  const forward = target.protocol === 'https:' ? forwardTls : forwardPlain;
  const placeOf = (path) => {
    const text = decodeURIComponent(path);
    return text.includes('/archive/') ? -1 : folders.findIndex((folder) => text.includes(`${folder}/`));
  };
  const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (incoming, answer) => {
    const first = placeOf(incoming.url) * FIELDS.length;
    const add = (name, much) => first >= 0 && Atomics.add(counts, first + FIELDS.indexOf(name), BigInt(much));
    if (FIELDS.includes(incoming.method)) add(incoming.method, 1);
    const { hostname, port } = target;
    // The signature is over the name that the client has asked for: it stays.
    const outgoing = forward({ hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers }, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      response.on('data', (chunk) => add('down', chunk.length)).pipe(answer);
    });
    outgoing.on('error', () => answer.destroy());
    answer.on('close', () => outgoing.destroy());
    incoming.on('data', (chunk) => add('up', chunk.length)).pipe(outgoing);
  });
  server.listen(ownPort, '127.0.0.1', () => parentPort.postMessage('ready'));
}

if (!isMainThread && workerData?.folders) serve(workerData);
