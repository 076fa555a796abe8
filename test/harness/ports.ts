import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** A TCP port that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = await listenOn(0);
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Occupies a port of every address; the caller closes the server. */
export async function listenOn(port: number): Promise<Server> {
  const server = createServer();
  server.listen(port);
  await once(server, 'listening');
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
