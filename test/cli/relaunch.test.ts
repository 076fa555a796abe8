import { describe, expect, test } from 'vitest';
import type { GlobalFlags } from '../../src/cli/cli.ts';
import { handedOn } from '../../src/cli/global-flags.ts';
import { automaticCommands, upAgain } from '../../src/cli/relaunch.ts';
import { drillKinds } from '../../src/config/schedules.ts';
import { beforeCommit } from '../../src/health/hooks/before-commit.ts';
import { afterCheckout } from '../../src/homes/git/after-checkout.ts';
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

test('a hook of git runs the command that it names, also with --local alone', async () => {
  for (const hook of [afterCheckout, beforeCommit]) {
    const words = hook(handedOn({ local: true }))
      .command.replace(/^dbkit | "\$@"$/g, '')
      .split(' ');
    expect(await inProcess([...words, '--help']), words.join(' ')).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^Usage: dbkit (snapshot auto|hooks) run/),
    });
    expect(await inProcess([...words, '--help', 'a', 'b', '1']), 'what git says is no folder').toMatchObject({ status: 0 });
  }
});

test('`up` in the background is as strict as the one in front, and nothing else hears of it', () => {
  expect(upAgain(surroundings, flags)).toContain('--strict');
  expect(upAgain(surroundings, { ...flags, strict: false })).not.toContain('--strict');
  expect([...backup, ...drill('corruption'), ...sendWal('nas')]).not.toContain('--strict');
});
