import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { automaticBackup } from '../../src/cli/relaunch.ts';
import { configSchema } from '../../src/config/config.ts';
import { startBackup } from '../../src/supervisor/start-backup.ts';

const member = { services: { patroni: { config: '/etc/patroni/config.yml' } } };

/** The words of what was started; undefined: nothing was. */
async function started(config: object, services: readonly object[], isScheduled: boolean): Promise<readonly string[] | undefined> {
  let words: readonly string[] | undefined;
  const app = {
    config: v.parse(configSchema, config),
    spawn: async ({ args }: { args: readonly string[] }) => {
      words = args;
      return { exited: Promise.resolve({ code: 0, signal: null }) };
    },
    log: { warn: () => undefined },
    board: { read: async () => ({ services }) },
    commandEnvironment: {},
  } as unknown as Parameters<typeof startBackup>[0];
  await startBackup(app, automaticBackup({ program: ['dbkit', 'dbkit.js'] }, {}), { isScheduled });
  return words;
}

describe('the backup that nobody asks for', () => {
  const words = ['dbkit.js', 'backup', 'create', '--if-carrier', '--if-changed', '--low-priority', '--quiet'];
  test.each<[string, object, object, boolean, readonly string[] | undefined]>([
    ['after a start of a server', {}, { name: 'postgresql', state: 'ready' }, false, words],
    ['while the server starts', {}, { name: 'postgresql', state: 'starting' }, false, undefined],
    ['where none is wished after a start', { backup: { afterStart: false } }, { name: 'postgresql', state: 'ready' }, false, undefined],
    ['after a start of a member of a cluster', member, { name: 'patroni', state: 'ready' }, false, undefined],
    ['by the schedule of a member', member, { name: 'patroni', state: 'ready' }, true, words],
    ['by the schedule of a member whose server is not ready', member, { name: 'patroni', state: 'starting' }, true, undefined],
  ])('%s', async (_when, config, service, isScheduled, expected) =>
    expect(await started(config, [service], isScheduled)).toEqual(expected),
  );
});
