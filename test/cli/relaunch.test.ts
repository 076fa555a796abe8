import { describe, expect, test } from 'vitest';
import type { GlobalFlags } from '../../src/cli/cli.ts';
import { automaticCommands, upAgain } from '../../src/cli/relaunch.ts';
import { drillKinds } from '../../src/config/schedules.ts';
import { inProcess } from '../harness/in-process.ts';

const surroundings = { program: ['node', 'dbkit.js'] } as const;
/** Every flag that an entrypoint may be started with. */
const flags: GlobalFlags = {
  strict: true,
  local: '/srv/db',
  config: '/etc/dbkit/dbkit.yaml',
  dataDir: '/data',
  socketDir: '/run/db',
  port: 5433,
  stateDir: '/state',
  logDir: '/log',
  backupDir: '/backup',
  binDir: '/bin',
};
const { backup, drill, sendWal } = automaticCommands(surroundings, flags);

describe('dbkit understands what it starts by itself', () => {
  test.each<[string, readonly string[]]>([
    ['the automatic backup', backup],
    ...drillKinds.map((kind): [string, readonly string[]] => [`the drill ${kind}`, drill(kind)]),
    ['WAL for a copy', sendWal('nas')],
    ['`up` in the background', upAgain(surroundings, flags)],
  ])('%s', async (_what, [_node, _file, ...words]) => {
    const { status, error } = await inProcess([...words, '--no-such-flag']); // Only the first unknown flag is told.
    expect(status).toBe(2);
    expect(error).toContain("unknown option '--no-such-flag'");
  });
});

test('`up` in the background is as strict as the one in front, and nothing else hears of it', () => {
  expect(upAgain(surroundings, flags)).toContain('--strict');
  expect(upAgain(surroundings, { ...flags, strict: false })).not.toContain('--strict');
  expect([...backup, ...drill('corruption'), ...sendWal('nas')]).not.toContain('--strict');
});
