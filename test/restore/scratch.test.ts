import { mkdtempSync, rmSync } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { layerConfig } from '../../src/config/layers.ts';
import type { Logger } from '../../src/kernel/machine.ts';
import { createSystem } from '../../src/machine/machine.ts';
import { clearLeftCopies, inScratchFolder } from '../../src/restore/scratch.ts';

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  progress: () => undefined,
};

test('a folder that somebody else clears up before it is locked is made anew', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dbkit-scratch-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { config: defaults } = layerConfig({ file: undefined, environment: [], flags: [] });
  const config = { ...defaults, backupDir: join(folder, 'backup'), stateDir: join(folder, 'state') };
  const { signal } = new AbortController();
  const system = await createSystem(silent, {});
  let cleared = 0;
  const disturbed: typeof system = {
    ...system,
    files: {
      ...system.files,
      async makeDirectory(path, options) {
        await system.files.makeDirectory(path, options);
        if (!/scratch_[^/]*$/.test(path) || cleared >= 2) return;
        cleared += 1;
        await clearLeftCopies({ config, system }, signal);
        await expect(access(path)).rejects.toMatchObject({ code: 'ENOENT' });
      },
    },
  };
  const work = inScratchFolder({ config, system: disturbed }, signal, async ({ path }) => {
    await clearLeftCopies({ config, system }, signal);
    await access(path);
    return 'done';
  });
  await expect(work).resolves.toBe('done');
  expect(cleared).toBe(2);
  expect(await readdir(join(config.backupDir, '.partial'))).toEqual([]);
});
