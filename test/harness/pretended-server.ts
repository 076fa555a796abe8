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
/** As PgBouncer answers a startup packet with settings that it does not know. */
export const POOLER = message('E', Buffer.from('SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: options\0\0'));
export const STOPPING = message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'));

const READY = message('Z', Buffer.from('I'));
/** The answer to a query of one column of texts, `name`. */
export const rowsOf = (...names: readonly string[]): Buffer => {
  const column = Buffer.concat([Buffer.from([0, 1]), Buffer.from('name\0'), Buffer.alloc(6), Buffer.from([0, 0, 0, 25]), Buffer.alloc(8)]);
  const row = (name: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(Buffer.byteLength(name));
    return message('D', Buffer.concat([Buffer.from([0, 1]), length, Buffer.from(name)]));
  };
  return Buffer.concat([message('T', column), ...names.map(row), message('C', Buffer.from(`SELECT ${names.length}\0`)), READY]);
};

/** Something that listens where PostgreSQL would, and treats its n-th packet as told. */
export async function serverThat(does: (socket: Socket, packet: number, bytes: Buffer) => void) {
  const server = createServer((socket) => {
    sockets.add(socket);
    let packets = 0;
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => does(socket, ++packets, bytes));
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { port: number };
  return { target: { socketDir: '127.0.0.1', port, user: 'postgres', database: 'postgres' } };
}
