import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach } from 'vitest';

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

const message = (type: string, body: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
};

/** AuthenticationOk and ReadyForQuery (protocol, "Message Formats"). */
export const LET_IN = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]);
export const FULL = message('E', Buffer.from('SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0'));
export const STOPPING = message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'));

/** Something that listens where PostgreSQL would, and treats its n-th packet as told. */
export async function serverThat(does: (socket: Socket, packet: number) => void) {
  const server = createServer((socket) => {
    sockets.add(socket);
    let packets = 0;
    socket.on('error', () => undefined);
    socket.on('data', () => does(socket, ++packets));
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { port: number };
  return { target: { socketDir: '127.0.0.1', port, user: 'postgres', database: 'postgres' } };
}
