import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { connect, sqlStateOf } from '../../src/instance/connection.ts';
import { FULL, LET_IN, STOPPING, serverThat } from '../harness/pretended-server.ts';

const needs = { as: 'superuser', timeoutMs: 60_000 } as const;
const never = new AbortController().signal;

test('a session that is cut while it begins is rejected: whoever waits for it has nothing else to wake him', async () => {
  const cut = new AbortController();
  const { target } = await serverThat(() => cut.abort(new Error('enough'))); // Asked for a session, and silent.
  await expect(connect(target, needs, cut.signal)).rejects.toThrow('enough');
});

test('a session whose patience ends while it begins is rejected', async () => {
  const { target } = await serverThat(() => undefined);
  await expect(connect(target, { ...needs, timeoutMs: 50 }, never)).rejects.toMatchObject({ code: 'service.unready' });
});

test('patience and cut at once are rejected too', async () => {
  const { target } = await serverThat(() => undefined);
  await expect(connect(target, { ...needs, timeoutMs: 50 }, AbortSignal.timeout(50))).rejects.toBeInstanceOf(Error);
});

test.each([
  ['hangs up', (socket: Socket) => socket.end()],
  ['resets', (socket: Socket) => socket.resetAndDestroy()],
  ['refuses and hangs up', (socket: Socket) => socket.end(FULL)],
  ['refuses and keeps the line open', (socket: Socket) => socket.write(FULL)],
  ['says half a word and hangs up', (socket: Socket) => socket.end(FULL.subarray(0, 9))],
])('a server that %s while the session begins rejects it', async (_name, does) => {
  const { target } = await serverThat((socket) => void does(socket));
  const refused = await connect(target, needs, never).catch((cause: unknown) => cause);
  expect(refused).toMatchObject({ code: 'service.unready' });
  expect(sqlStateOf(refused)).toBe(_name.startsWith('refuses') ? '53300' : undefined);
});

test.each([
  ['hangs up', (socket: Socket) => socket.end()],
  ['resets', (socket: Socket) => socket.resetAndDestroy()],
  ['is stopped', (socket: Socket) => socket.end(STOPPING)],
])('a question is rejected when the server %s, and so is the next one; the session then ends', async (_name, does) => {
  const { target } = await serverThat((socket, packet) => void (packet === 1 ? socket.write(LET_IN) : does(socket)));
  const session = await connect(target, { ...needs, as: 'application' }, never);
  await expect(session.query('SELECT 1')).rejects.toBeInstanceOf(Error);
  await expect(session.query('SELECT 2')).rejects.toBeInstanceOf(Error);
  await session.end();
  await session.end();
});

test('a question that is never answered is rejected when its session is cut, and the one that waits behind it', async () => {
  const cut = new AbortController();
  const { target } = await serverThat((socket, packet) => void (packet === 1 ? socket.write(LET_IN) : cut.abort(new Error('enough'))));
  const session = await connect(target, { ...needs, as: 'application' }, cut.signal);
  const both = [session.query('SELECT 1'), session.query('SELECT 2')];
  for (const answer of both) await expect(answer).rejects.toThrow('enough');
  await session.end();
});

test('a session that is ended while a question is out rejects it', async () => {
  const { target } = await serverThat((socket, packet) => void (packet === 1 && socket.write(LET_IN)));
  const session = await connect(target, { ...needs, as: 'application' }, never);
  const answer = session.query('SELECT 1').catch((cause: unknown) => cause);
  await session.end();
  expect(await answer).toBeInstanceOf(Error);
});

test('a server that does not hang up does not keep a session from its end', async () => {
  const { target } = await serverThat((socket, packet) => void (packet === 1 && socket.write(LET_IN)));
  const session = await connect(target, { ...needs, as: 'application' }, never);
  await session.end();
});
