import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import type { Endpoint, ServePages } from './http-pages.ts';

const REQUEST_MS = 5_000;
const isLoopback = (name: string): boolean => name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
/** 'localhost:9879' → 'localhost', '[::1]:9879' → '::1'. */
const nameOf = (authority = ''): string =>
  authority
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();

/** Read-only pages over plain HTTP. Whoever listens on more than loopback leaves it to the network to say who may ask. */
export const servePages: ServePages = async ({ host, port }, pageAt): Promise<Endpoint> => {
  const isLocal = host !== undefined && isLoopback(host);
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, ({ method, url, headers }, response) => {
    const plain = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };
    if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405, { ...plain, allow: 'GET, HEAD' }).end();
    // A web site whose name was made to lead here would read these pages through the browser of whoever visits it (DNS rebinding).
    if (isLocal && !isLoopback(nameOf(headers.host))) return void response.writeHead(421, plain).end('ask for localhost\n');
    void pageAt((url ?? '/').split('?')[0]!).then(
      (page) => {
        if (page === undefined) return void response.writeHead(404, plain).end('not found\n');
        const policy = {
          'content-security-policy': page.policy ?? "default-src 'none'",
          'x-content-type-options': 'nosniff',
          'referrer-policy': 'no-referrer',
        };
        response.writeHead(page.status, { ...plain, ...policy, 'content-type': page.type }).end(page.body); // Node leaves the body out for HEAD.
      },
      (cause: unknown) => response.writeHead(500, plain).end(`${wordsOf(cause)}\n`),
    );
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
