import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { layerConfig } from '../../src/config/layers.ts';
import { createSessions } from '../../src/health/probes/sessions.ts';
import { clock } from '../../src/machine/clock.ts';
import { FULL, LET_IN, serverThat } from '../harness/pretended-server.ts';

const never = new AbortController().signal;

/** The superuser's session with a server that is full for the first of those who ask. */
async function askedOf(refusals: number) {
  let asked = 0;
  const { target } = await serverThat((socket: Socket) => {
    asked += 1;
    socket.end(asked > refusals ? LET_IN : FULL);
  });
  const { config } = layerConfig({ file: undefined, environment: [], flags: [] });
  const postgresql = { ...config.postgresql, socketDir: target.socketDir, port: target.port };
  const sessions = createSessions({ ...config, postgresql }, clock);
  return sessions.during(never, ({ superuser }) => superuser());
}

test('a server that is full for a moment is asked again', async () => {
  expect((await askedOf(2)).session).toBeDefined();
});

test('a server that stays full is called full', async () => {
  expect((await askedOf(Number.POSITIVE_INFINITY)).refusal).toEqual({ kind: 'full', words: 'sorry, too many clients already' });
});
