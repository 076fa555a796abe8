import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { createSettingsFile } from '../../src/config/settings-file.ts';
import type { System } from '../../src/kernel/machine.ts';

const levels = 'bcdefgh'.split('').map((name, at) => `${name}: &${name} [${`*${'abcdefgh'[at]},`.repeat(10)}]`);

test.each([
  ['cut in the middle', 'alerts:\n  url: "https://hunter2\n  a: ['],
  ['aliases of aliases', `a: &a [1,1,1,1,1,1,1,1,1,1]\n${levels.join('\n')}\n`],
  ['a text where a mapping is due', 'alerts: hunter2\n'],
  ['an alias that leads nowhere', 'alerts: *gone\n'],
])('a file that is broken is told, not shown, and not written: %s', async (_what, text) => {
  const folder = await mkdtemp(join(tmpdir(), 'dbkit-config-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'dbkit.yaml');
  await writeFile(path, text);
  const file = createSettingsFile(async () => path, folder, {} as Pick<System, 'files' | 'rights'>);
  const failure = await file.set(['alerts', 'channels', 'team'], { type: 'slack' }).catch((cause: unknown) => cause);
  expect(failure).toMatchObject({ code: 'config.invalid' });
  expect(inspect(failure, { depth: 9 })).not.toContain('hunter2');
  expect(await readFile(path, 'utf8')).toBe(text);
});
