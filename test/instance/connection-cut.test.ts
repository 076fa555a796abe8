import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openAsSuperuser } from '../../src/instance/sessions.ts';

const SSL_REQUEST_BYTES = 8;

test('a session that is cut while it begins rejects, also when the server has declined TLS and then says nothing', async () => {
  const abort = new AbortController();
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', (packet) => {
      if (packet.length === SSL_REQUEST_BYTES) socket.write('N');
      else abort.abort(new Error('cut')); // The startup packet of the second way.
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const where = { socketDir: '127.0.0.1', port: address.port, superuser: 'a', sslMode: 'prefer' } as const;
  await expect(openAsSuperuser(where, 'a', { connectTimeoutMs: 60_000 }, abort.signal)).rejects.toThrow('cut');
});

/** A server that lets everybody in, and then stops: it says so, and hangs up. */
async function stoppingServer(): Promise<number> {
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (packet) => {
      if (packet.length === SSL_REQUEST_BYTES) return void socket.write('N');
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]));
      const words = Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0');
      setTimeout(() => socket.end(message('E', words)), 50);
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

test('a session that was lost while idle says how it was lost, and puts no words into the mouth of the server', async () => {
  const signal = new AbortController().signal;
  const where = { socketDir: '127.0.0.1', port: await stoppingServer(), superuser: 'a', sslMode: 'prefer' } as const;
  const session = await openAsSuperuser(where, 'a', { connectTimeoutMs: 60_000 }, signal);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await expect(session.query('SELECT 1')).rejects.toMatchObject({
    code: 'service.unready',
    message: 'PostgreSQL gave no answer: terminating connection due to administrator command',
  });
});
