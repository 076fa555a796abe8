import { expect, test } from 'vitest';
import type { PostgresqlOptions } from '../../src/boot/hold.ts';
import { createUpkeep } from '../../src/upkeep/upkeep.ts';
import { LET_IN, rowsOf, STOPPING, serverThat } from '../harness/pretended-server.ts';

const databaseOf = (startup: Buffer): string => /\0database\0([^\0]*)/.exec(startup.toString('latin1'))?.[1] ?? '';
const GONE = Buffer.from(STOPPING.toString('latin1').replace('57P01', '3D000'), 'latin1');

test.each([
  ['that was dropped meanwhile is told, and keeps nothing from the others', GONE, true],
  ['whose sessions the server ends is no reason to call the work done', STOPPING, false],
])('a database %s', async (_, answer, isDone) => {
  const { target } = await serverThat((socket, packet, bytes) => {
    if (packet === 1) socket.write(databaseOf(bytes) === 'second' ? answer : LET_IN);
    else if (bytes.toString('latin1').includes('datname')) socket.write(rowsOf('first', 'second'));
    else socket.write(rowsOf());
  });
  const told: string[] = [];
  const options = {
    config: { postgresql: { ...target, superuser: 'postgres' }, maintenance: { lockTimeoutSeconds: 1 } },
    system: { log: { warn: (_name: string, words: string) => void told.push(words) } },
  } as unknown as PostgresqlOptions;
  const needs = createUpkeep(options).needs(undefined, new AbortController().signal);
  if (isDone) await expect(needs).resolves.toEqual([]);
  else await expect(needs).rejects.toMatchObject({ code: 'service.unready' });
  expect(told).toEqual(isDone ? [expect.stringMatching(/^second is passed over/)] : []);
});
