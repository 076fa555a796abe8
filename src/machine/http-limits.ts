import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';

export interface HttpLimits {
  /** Connections at once; beyond them the one that has said nothing for the longest time goes. */
  readonly clientsMax: number;
  /** For all of a request to arrive. */
  readonly requestMs: number;
  /** Without a byte in either direction; undefined: an answer may take as long as it takes. */
  readonly silenceMs?: number;
}

export interface LimitedServer {
  readonly server: Server;
  /** Takes nobody any more, lets answers that are under way have `graceMs`, then hangs up on everybody. */
  close(graceMs: number): Promise<void>;
}

const HEADER_BYTES_MAX = 8 * 1024;
const CHECK_EVERY_MS = 500;
/** For a client to read its answer while it still sends: one that is hung up on before loses what it was told (RFC 9112, 9.6). */
const FAREWELL_MS = 1_000;

/**
 * An HTTP server that clients cannot wear out. Those that idle, or say their request drop by drop, make room for whoever comes next, so that
 * a thousand of them keep nobody out; one request a connection, so that nobody keeps his place. Node's HTTP is loaded only by those who serve.
 */
export async function limitedServer(
  { clientsMax, requestMs, silenceMs = 0 }: HttpLimits,
  listener: RequestListener,
): Promise<LimitedServer> {
  const { createServer } = await import('node:http');
  const waiting = new Set<Socket>(); // In the order they came.
  const answering = new Set<Socket>();
  const leaving = new Set<Socket>();
  const server = createServer(
    {
      requestTimeout: requestMs,
      headersTimeout: requestMs,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
      keepAlive: false,
    },
    (request, response) => {
      waiting.delete(request.socket);
      answering.add(request.socket);
      response.shouldKeepAlive = false;
      response.once('close', () => answering.delete(request.socket));
      listener(request, response);
    },
  );
  server.maxRequestsPerSocket = 1;
  server.timeout = silenceMs;
  server.on('connection', (socket: Socket) => {
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    socket.destroySoon = () => partWith(socket, leaving);
    if (waiting.size + answering.size + leaving.size <= clientsMax) return;
    const [oldest] = [...leaving, ...waiting];
    oldest?.destroy();
  });
  return {
    server,
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of [...waiting, ...leaving]) socket.destroy();
      const hangUp = setTimeout(() => {
        for (const socket of answering) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(hangUp);
    },
  };
}

/** Says the end, and hangs up when the client has heard it or a moment later. */
function partWith(socket: Socket, leaving: Set<Socket>): void {
  leaving.add(socket);
  const hangUp = setTimeout(() => socket.destroy(), FAREWELL_MS);
  socket.once('close', () => {
    clearTimeout(hangUp);
    leaving.delete(socket);
  });
  socket.end();
}
