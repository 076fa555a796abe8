import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { refusePortInUse } from '../../src/instance/guard/ports.ts';
import { clock } from '../../src/machine/clock.ts';

const { signal } = new AbortController();

async function listening() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { server, port, close: () => new Promise<void>((closed) => server.close(() => closed())) };
}

test('a port that another program listens on is refused, with its name', async () => {
  const { port, close } = await listening();
  await expect(refusePortInUse(port, 'localhost', clock, signal)).rejects.toMatchObject({
    code: 'port.in-use',
    message: expect.stringContaining(`(pid ${process.pid})`),
  });
  await close();
});

test('a port that somebody tries at the same moment, as another dbkit does, is free', async () => {
  const { port, close } = await listening();
  let tries = 0;
  const impatient = {
    ...clock,
    sleep: async () => {
      tries += 1;
      await close();
    },
  };
  await refusePortInUse(port, '127.0.0.1', impatient, signal);
  expect(tries).toBe(1);
});
