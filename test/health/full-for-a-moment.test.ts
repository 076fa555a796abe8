import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { layerConfig } from '../../src/config/layers.ts';
import { authenticationProbe } from '../../src/health/probes/authentication.ts';
import { createSessions, type SharedSessions } from '../../src/health/probes/sessions.ts';
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

/** The probe of the application's login, with a server that says nothing to the first of those who ask. */
async function loginWhere(silences: number) {
  let asked = 0;
  const { target } = await serverThat((socket: Socket) => {
    asked += 1;
    if (asked > silences) socket.end(LET_IN);
  });
  const { config } = layerConfig({ file: undefined, environment: [], flags: [] });
  const postgresql = { ...config.postgresql, socketDir: target.socketDir, port: target.port, connectionOnly: true as const };
  const sessions = createSessions({ ...config, postgresql, health: { ...config.health, timeoutSeconds: 0.2 } }, clock);
  return sessions.during(never, ({ application }) => application());
}

test('a login that nobody answers in time is tried once more: the machine may be busy', async () => {
  expect((await loginWhere(1))?.session).toBeDefined();
  expect((await loginWhere(Number.POSITIVE_INFINITY))?.refusal).toMatchObject({ kind: 'hung' });
});

test('silence on TCP is unknown, and a port that refuses is critical', async () => {
  const { config } = layerConfig({ file: undefined, environment: [], flags: [] });
  const askedWith = (kind: 'hung' | 'silent') => {
    const open = {
      application: async () => ({ refusal: { kind, words: kind } }),
      superuser: async () => ({ session: {}, connectMs: 1 }),
      tcpHost: async () => 'localhost',
    };
    const sessions = { during: (_signal: AbortSignal, look: (sessions: unknown) => unknown) => look(open) } as unknown as SharedSessions;
    return authenticationProbe(config.postgresql, config.health, sessions).check(never);
  };
  expect(await askedWith('hung')).toMatchObject({ status: 'unknown', summary: expect.stringContaining('nobody answered in time') });
  expect(await askedWith('silent')).toMatchObject({ status: 'critical' });
});
