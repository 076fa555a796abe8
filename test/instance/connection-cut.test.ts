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
