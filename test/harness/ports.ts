import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below the ports that Linux gives to clients and to listeners on port 0 (32768 and more, ip_local_port_range). */
const RANGE = { first: 12_000, blocks: 5_000, blockSize: 4 };
/** Test files run side by side in workers (1, 2, …): each has one port of every block. */
const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % RANGE.blockSize;
let block = randomInt(RANGE.blocks);

/**
 * A TCP port that nobody listens on right now, and that no other caller of this run is given: a test may stop its server and start it again
 * on the same port while other tests are looking for one.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < RANGE.blocks; tries += 1) {
    block = (block + 1) % RANGE.blocks;
    const port = RANGE.first + block * RANGE.blockSize + worker;
    const server = await listenOn(port).catch(() => undefined);
    if (!server) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error('every port of this worker is in use');
}

/** Occupies a port of every address; the caller closes the server. */
export async function listenOn(port: number): Promise<Server> {
  const server = createServer();
  server.listen(port);
  await once(server, 'listening');
  return server;
}
