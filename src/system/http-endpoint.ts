import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DbkitError, errnoOf } from '../core/errors.ts';
import type { Endpoint, ServePages } from '../core/pages.ts';

const REQUEST_MS = 5_000;

/** Read-only pages over plain HTTP. Whoever listens on more than loopback leaves it to the network to say who may ask. */
export const servePages: ServePages = async ({ host, port }, pageAt): Promise<Endpoint> => {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, ({ method, url }, response) => {
    const page = method === 'GET' || method === 'HEAD' ? pageAt((url ?? '/').split('?')[0]!) : 'refused';
    if (page === 'refused') return void response.writeHead(405, { allow: 'GET, HEAD' }).end();
    if (page === undefined) return void response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    response.writeHead(page.status, { 'content-type': page.type, 'cache-control': 'no-store' }).end(page.body); // Node leaves the body out for HEAD.
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve)).catch((cause: unknown) => {
    const isTaken = errnoOf(cause) === 'EADDRINUSE';
    throw new DbkitError(isTaken ? 'port.in-use' : 'service.failed', `port ${port} cannot be listened on (${errnoOf(cause)})`, {
      hint: isTaken ? 'name another port: `dbkit monitor --listen PORT`' : 'name an address of this machine and a port that is free',
      cause,
    });
  });
  server.unref(); // It never keeps a program alive that has nothing else to do.
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};
