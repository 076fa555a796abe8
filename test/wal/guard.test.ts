import { expect, test } from 'vitest';
import type { Connection } from '../../src/instance/connection.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { guard, type Life } from '../../src/wal/keeper-life.ts';

const ofServer = (code: string, message: string): Error => Object.assign(new Error(message), { code, severity: 'FATAL' });

function life() {
  const said: string[] = [];
  const needs = { isLimited: false, system: { log: { warn: (_event: string, words: string) => said.push(words) } } };
  return { said, life: { needs, guarded: false, published: '' } as unknown as Life };
}
const failing = (cause: unknown): Connection => ({ query: () => Promise.reject(cause) }) as unknown as Connection;

test.each([
  ['the session is gone', new DbkitError('service.unready', 'PostgreSQL gave no answer: Connection terminated')],
  ['the server is being stopped', new DbkitError('command.failed', 'no', { cause: ofServer('57P01', 'terminating connection') })],
])('%s: nothing is said of the slot, which nobody could look at', async (_what, cause) => {
  const { said, life: keeping } = life();
  await expect(guard(keeping, failing(cause))).rejects.toBe(cause);
  expect(said).toEqual([]);
});

test('a server that refuses the slot is told of', async () => {
  const { said, life: keeping } = life();
  await guard(keeping, failing(new DbkitError('command.failed', 'all replication slots are in use', { cause: ofServer('53400', 'full') })));
  expect(said).toEqual(['no replication slot holds WAL back for the archive: all replication slots are in use']);
});
