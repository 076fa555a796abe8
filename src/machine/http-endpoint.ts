import { type AddressInfo, isIP } from 'node:net';
import { hostname } from 'node:os';
import { DbkitError, errnoOf, wordsOf } from '../kernel/errors.ts';
import { limitedServer } from './http-limits.ts';
import type { Endpoint, ServePages } from './http-pages.ts';

const LIMITS = { clientsMax: 64, requestMs: 5_000, silenceMs: 5_000 };
const isLoopback = (name: string): boolean => name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
/** 'localhost:9879' → 'localhost', '[::1]:9879' → '::1'. */
const nameOf = (authority = ''): string =>
  authority
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();

/**
 * Tells if a Host header may be answered. A web site whose name was made to lead here would read these pages through the browser of whoever
 * visits it (DNS rebinding): such a name has a dot and is nobody's own. An address and a name without a dot cannot be rebound.
 */
export function mayAsk(
  authority: string | undefined,
  { isLocal, hosts }: { readonly isLocal: boolean; readonly hosts: readonly string[] },
): boolean {
  const name = nameOf(authority);
  if (isLoopback(name) || hosts.includes(name)) return true;
  if (isLocal) return false;
  return name === hostname().toLowerCase() || isIP(name) !== 0 || (name !== '' && !name.includes('.'));
}

/** Read-only pages over plain HTTP, for few clients at a time, none of which can hold it up. */
export const servePages: ServePages = async ({ host, port }, pageAt, hosts = []): Promise<Endpoint> => {
  const isLocal = host !== undefined && isLoopback(host);
  const { server, close } = await limitedServer(LIMITS, ({ method, url, headers }, response) => {
    const plain = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };
    if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405, { ...plain, allow: 'GET, HEAD' }).end();
    if (!mayAsk(headers.host, { isLocal, hosts }))
      return void response.writeHead(421, plain).end('ask for an address, for localhost, or for a name in monitor.hosts\n');
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
  server.on('error', () => undefined); // A client that could not be let in, for want of descriptors.
  server.unref(); // It never keeps a program alive that has nothing else to do.
  return {
    port: (server.address() as AddressInfo).port,
    close: () => close(0),
  };
};
